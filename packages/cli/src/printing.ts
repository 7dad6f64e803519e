/**
 * Printing: everything that comes over a line, until it is asked to end. Standard output sets the
 * pace: until a message has left no other of its channel is printed, and what there is no room for
 * waits in the log of the server.
 */
import type { ChannelOptions, Line, OpenEvent } from '@trunkline/client';
import { isWildcard } from '@trunkline/wire';
import type { EventPrinter, PrintedEvent } from './event-printer.ts';
import type { Io } from './io.ts';
import type { Progress } from './progress.ts';

/** What to ask of each channel beside where it begins; of patterns not all of it. */
type PrintingOptions = Pick<ChannelOptions<unknown>, 'last' | 'partial' | 'presence' | 'snapshot'>;

export class Printing {
  readonly #line: Line;
  readonly #printer: EventPrinter;
  readonly #progress: Progress;
  readonly #io: Io;
  #isOver = false;

  constructor(line: Line, printer: EventPrinter, progress: Progress, io: Io) {
    this.#line = line;
    this.#printer = printer;
    this.#progress = progress;
    this.#io = io;
  }

  /** Once. @throws why it ended before it was asked to. */
  run(filters: readonly string[], options: PrintingOptions): Promise<void> {
    const line = this.#line;
    return new Promise((resolve, reject) => {
      const fail = (reason: unknown) => {
        const error = reason instanceof Error ? reason : new Error(String(reason));
        this.#end(error.message);
        reject(error);
      };
      this.#print({ kind: 'state', state: line.state });
      line.on('state', ({ state, reason, error, refusal }) => {
        // What was received before is printed first; then each reading ends with the error.
        if (error !== undefined) return;
        // Another transport may do, but there is none.
        if (refusal !== undefined) fail(refusal);
        else this.#print({ kind: 'state', state, ...(reason === undefined ? {} : { reason }) });
      });
      line.on('error', fail);
      for (const filter of filters) this.#read(filter, options, fail);
      this.#io.stops.onStop(() => {
        this.#end('aborted');
        resolve();
      });
    });
  }

  #read(filter: string, options: PrintingOptions, onEnd: (error: unknown) => void): void {
    const { presence, snapshot, ...ofAll } = options;
    const ofNames = { ...(presence && { presence }), ...(snapshot && { snapshot }) };
    const after = this.#progress.placeOf(filter);
    const channel = this.#line.channel(filter, {
      ...ofAll,
      ...(isWildcard(filter) ? {} : ofNames),
      ...(after === undefined ? {} : { after }),
    });
    const print = (event: PrintedEvent) => this.#print(event, filter);
    let opening: OpenEvent | undefined;
    channel.subscribe({
      onMessage: (message) => {
        if (this.#isOver) return undefined;
        if (this.#progress.isNew(message)) print(message);
        else this.#progress.follow(filter, message);
        return this.#io.stdout.drained();
      },
      onOpen: (event) => {
        opening = event;
        print(event);
      },
      onGap: (event) => {
        // What was lost by then the opening has said.
        if (event.gap !== opening?.gap) print(event);
      },
      onSnapshot: print,
      onPresence: print,
      onMark: (mark) => {
        if (!this.#isOver) this.#progress.reach(filter, mark);
      },
      onEnd,
    });
  }

  #print(event: PrintedEvent, filter?: string): void {
    if (this.#isOver) return;
    this.#printer.print(event);
    // Also when that was the end.
    if (filter !== undefined) this.#progress.follow(filter, event);
  }

  #end(reason: string): void {
    this.#print({ kind: 'state', state: 'disconnected', reason });
    this.#isOver = true;
    this.#line.close();
  }
}
