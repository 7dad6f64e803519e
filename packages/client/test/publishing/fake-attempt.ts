/** A fake attempt: the test answers what is published over it. */
import { CodedError } from '@trunkline/wire';
import type { CodeName, ErrorDetails } from '@trunkline/wire';
import type { Frame } from '../../src/encodings/encoding.ts';
import type { Ask, Attempt } from '../../src/transports/transport.ts';

/** A publish that waits for its answer. */
export interface FakePublish {
  readonly fields: Readonly<Record<string, unknown>>;
  accept(answer?: Record<string, unknown>): void;
  refuse(code: CodeName, details?: ErrorDetails): void;
  fail(error: unknown): void;
}

export class FakeAttempt implements Attempt {
  /** Everything that was asked, in order. */
  readonly publishes: FakePublish[] = [];
  /** What was sent without an answer. */
  readonly sent: Readonly<Record<string, unknown>>[] = [];
  #offset = 0;

  /** The `data` of what was asked, in order. */
  get data(): unknown[] {
    return this.publishes.map(({ fields }) => fields['data']);
  }

  request(ask: Ask): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (ask.kind !== 'publish') throw new Error(`expected a publish, got ${ask.kind}`);
      const fields = parse(ask.members);
      this.publishes.push({
        fields,
        accept: (answer) => {
          this.#offset += 1;
          const offset = this.#offset;
          const position = { offset, epoch: 'e', position: `e:${offset}` };
          resolve({ fields: answer ?? { channel: fields['channel'], ...position } });
        },
        refuse: (code, details = { stored: false }) => reject(new CodedError(code, code, details)),
        fail: reject,
      });
    });
  }

  send(members: string): void {
    this.sent.push(parse(members));
  }

  /** Everything without an answer fails as that of an attempt that is over. */
  close(): void {
    for (const publish of this.publishes) publish.refuse('unavailable', { stored: 'unknown' });
  }

  revise(): void {}
  renew(): void {}
  probe(): void {}
}

function parse(members: string): Record<string, unknown> {
  return JSON.parse(`{${members}}`) as Record<string, unknown>;
}
