/** A hub that keeps messages in arrays and lets a test see what it was asked. */
import { BesideLog } from '@trunkline/server/internal/hub/beside-log.ts';
import { isGranted } from '@trunkline/server/internal/auth/identity.ts';
import type { Action, Identity } from '@trunkline/server/internal/auth/identity.ts';
import type {
  ActiveChannel,
  Caller,
  ChannelRead,
  HistoryPage,
  HistoryRequest,
  HubCalls,
  PublishRequest,
  ReadRequest,
  ReadResult,
  Start,
} from '@trunkline/server/internal/hub/hub-types.ts';
import type { PageRequest } from '@trunkline/server/internal/hub/presence/presence-types.ts';
import { CodedError, matchesPattern } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import type { Gap, MemberPage, Message, Position } from '@trunkline/wire';
import { ScriptedState } from '../hub/scripted-state.ts';

const EPOCH = 'k3f9';
const MESSAGE_SIZE_MAX = 64 * 1024;

/** One publish as the API handed it on. */
export interface PublishedCall {
  readonly caller: Caller;
  readonly channel: string;
  readonly request: PublishRequest;
}

export class FakeHub implements HubCalls {
  readonly published: PublishedCall[] = [];
  readonly reads: { readonly caller: Caller; readonly request: ReadRequest }[] = [];
  readonly histories: { readonly channel: string; readonly request: HistoryRequest }[] = [];
  /** Thrown by the next calls while set. */
  failure: unknown;
  /** What is thrown for these channels. */
  readonly failures = new Map<string, unknown>();
  active: readonly ActiveChannel[] = [];
  /** Stands in the results of reads, whatever was asked for. */
  answer: Partial<ReadResult> = {};
  /** What was asked of presence. */
  readonly pages: { readonly channel: string; readonly request: PageRequest }[] = [];
  readonly #streams = new Map<string, readonly Message[]>();
  readonly #waiting = new Set<() => void>();
  readonly clock = new ManualClock();
  readonly state = new ScriptedState(this.clock);
  /** The real one, on the streams of this hub. */
  readonly beside: BesideLog = new BesideLog({
    broker: {
      state: this.state,
      read: async (channel) => {
        const top = this.#streams.get(channel)?.length ?? 0;
        return { epoch: top === 0 ? '0' : EPOCH, oldest: 1, top, messages: [] };
      },
      purge: async (channel) => {
        this.#streams.delete(channel);
        const kept = this.published.filter((call) => call.channel !== channel);
        this.published.splice(0, Infinity, ...kept);
      },
    },
    clock: this.clock,
    permits: (identity, action, channel) => mayDo(identity, action, channel),
    demand: (identity, action, channel) => this.#check({ identity, session: '' }, action, channel),
  });

  get waitingCount(): number {
    return this.#waiting.size;
  }

  async publish(caller: Caller, channel: string, request: PublishRequest): Promise<Position> {
    this.#check(caller, 'publish', channel);
    if (request.payload.length > MESSAGE_SIZE_MAX) {
      throw new CodedError('too_large', 'a message may have 65536 bytes', { stored: false });
    }
    this.published.push({ caller, channel, request });
    const stream = this.#streams.get(channel) ?? [];
    const { key: _, ...draft } = request;
    const message: Message = { ...draft, offset: stream.length + 1, time: 1_700_000_000_000 };
    this.#streams.set(channel, [...stream, message]);
    for (const wake of this.#waiting) wake();
    return { epoch: EPOCH, offset: message.offset };
  }

  async read(caller: Caller, request: ReadRequest): Promise<ReadResult> {
    this.reads.push({ caller, request });
    for (const channel of request.channels.keys()) this.#check(caller, 'subscribe', channel);
    // "From now on" is decided once; a wait reads on from there.
    const starts = new Map(
      [...request.channels].map(([channel, start]) => [channel, this.#startOf(channel, start)]),
    );
    let result = this.#readNow(starts, request.countMax);
    if (request.waitMs > 0 && result.channels.every((read) => read.messages.length === 0)) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
        request.onWait?.(wake);
      });
      result = this.#readNow(starts, request.countMax);
    }
    return result;
  }

  async history(caller: Caller, channel: string, request: HistoryRequest): Promise<HistoryPage> {
    this.histories.push({ channel, request });
    this.#check(caller, 'history', channel);
    const stream = this.#streams.get(channel) ?? [];
    const after = request.after?.kind === 'position' ? request.after.position.offset : 0;
    const messages = stream.slice(after, after + request.countMax);
    return {
      messages,
      epoch: EPOCH,
      position: { epoch: EPOCH, offset: after + messages.length },
      oldest: { epoch: EPOCH, offset: stream.length === 0 ? 0 : 1 },
      newest: { epoch: EPOCH, offset: stream.length },
      more: after + messages.length < stream.length,
      ...(request.after?.kind === 'unknown' ? { gap: { reason: 'unknown' } as const } : {}),
    };
  }

  members(caller: Caller, channel: string, request: PageRequest): MemberPage {
    this.#check(caller, 'presence', channel);
    this.pages.push({ channel, request });
    return { members: [{ session: 's1', user: 'ann', since: 5 }], count: 1, next: 'later' };
  }

  activeChannels(pattern: string): readonly ActiveChannel[] {
    return this.active.filter(({ channel }) => matchesPattern(pattern, channel));
  }

  /** Ends the waits, as time does. */
  wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  #readNow(starts: ReadonlyMap<string, CursorStart>, countMax: number): ReadResult {
    let left = countMax;
    const channels = [...starts].map(([channel, start]): ChannelRead => {
      const stream = this.#streams.get(channel) ?? [];
      const at = start.position.offset;
      // The whole stream is one array, so that readers share it.
      const all = at === 0 && stream.length <= left;
      const messages = all ? stream : stream.slice(at, at + left);
      left -= messages.length;
      const end = { epoch: stream.length === 0 ? '0' : EPOCH, offset: at + messages.length };
      return { ...start, channel, messages, end, more: end.offset < stream.length };
    });
    const more = channels.some((read) => read.more);
    const mark = `~m${this.published.length}`;
    return { channels, patterns: new Map(), volatile: [], passing: [], more, ...this.answer, mark };
  }

  #startOf(channel: string, { after, last }: Start): CursorStart {
    const stream = this.#streams.get(channel) ?? [];
    const top = { epoch: stream.length === 0 ? '0' : EPOCH, offset: stream.length };
    if (after === undefined) {
      return { position: { ...top, offset: Math.max(0, top.offset - (last ?? 0)) } };
    }
    if (after.kind === 'start') return { position: { ...top, offset: 0 }, recovered: true };
    if (after.kind !== 'position') {
      return { position: top, recovered: false, gap: { reason: 'unknown' } };
    }
    if (after.position.offset > top.offset) {
      return { position: top, recovered: false, gap: { reason: 'ahead' } };
    }
    return { position: { ...top, offset: after.position.offset }, recovered: true };
  }

  #check({ identity }: Caller, action: Action, channel: string): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.failures.has(channel)) throw this.failures.get(channel);
    if (!mayDo(identity, action, channel)) {
      throw new CodedError('forbidden', `may not ${action} ${channel}`);
    }
  }
}

interface CursorStart {
  readonly position: Position;
  readonly recovered?: boolean;
  readonly gap?: Gap;
}

/** Anonymous clients may do everything: whether there are any is the authenticator's matter. */
function mayDo(identity: Identity, action: Action, channel: string): boolean {
  return identity.kind === 'anonymous' || isGranted(identity, action, channel);
}
