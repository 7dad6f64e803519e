/** What the threads of the log are asked, and what they answer. */
import type { BrokerError, ReadRange } from '../../broker/broker.ts';
import type { StateRecord } from '../../broker/state.ts';
import type { StoreLimits, Sync } from './config.ts';
import type { Packed } from './packing.ts';
import type { WalPages } from './sqlite-log.ts';
import type { ChangedCursor } from './sqlite-reads.ts';
import type { LogIdentity, LogPlace } from './store.ts';

/** What a thread is for. Only the writer may commit; there is one. */
export type ThreadRole = 'writer' | 'reader' | 'backup';

/** What a thread is told when it starts. */
export interface ThreadSetup {
  readonly path: string;
  readonly sync: Sync;
  readonly limits: StoreLimits;
}

/** Each call by name: its arguments and its answer. */
export interface Calls {
  /** Begins a new run of the log. Writer only. */
  open: { ask: Record<never, never>; answer: LogIdentity };
  /** Joins the run that has begun. */
  attach: { ask: { readonly role: ThreadRole }; answer: LogIdentity };
  commit: { ask: { readonly operations: Packed; readonly nowMs: number }; answer: Packed };
  sweep: { ask: { readonly nowMs: number }; answer: boolean };
  checkpoint: { ask: { readonly mode: 'passive' | 'restart' }; answer: WalPages };
  read: {
    ask: { readonly channel: string; readonly range: ReadRange; readonly nowMs: number };
    answer: Packed;
  };
  changedMatching: {
    ask: {
      readonly place: LogPlace | undefined;
      readonly patterns: readonly string[];
      readonly cursor: ChangedCursor | undefined;
      readonly nowMs: number;
    };
    answer: { readonly channels: Packed; readonly next: ChangedCursor | undefined } | undefined;
  };
  changedNamed: {
    ask: {
      readonly place: LogPlace | undefined;
      readonly names: readonly string[];
      readonly nowMs: number;
    };
    answer: Packed | undefined;
  };
  get: { ask: { readonly key: string; readonly nowMs: number }; answer: StateRecord | undefined };
  list: {
    ask: {
      readonly prefix: string;
      readonly after: string | undefined;
      readonly countMax: number;
      readonly nowMs: number;
    };
    answer: StateRecord[];
  };
  /** Writes a copy of the log to a file that must not exist. */
  backup: { ask: { readonly target: string }; answer: undefined };
  close: { ask: Record<never, never>; answer: undefined };
}

/** A call as it is sent. */
export type Call = {
  [Name in keyof Calls]: { readonly name: Name } & Calls[Name]['ask'];
}[keyof Calls];

/** The answer to the call of this type. */
export type AnswerTo<C extends Call> = Calls[C['name']]['answer'];

/** Calls that are sent together and answered together. */
export interface CallGroup {
  readonly id: number;
  readonly calls: readonly Call[];
}

/** What came of one call. */
export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      readonly kind: BrokerError['kind'];
      readonly message: string;
      readonly stored: false | 'unknown';
    };

/** The answers to a group, in the order of its calls. */
export interface AnswerGroup {
  readonly id: number;
  readonly answers: readonly Answer[];
}
