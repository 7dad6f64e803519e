/**
 * Codec: what the binary encoding costs and saves against JSON, as ratios in one run.
 *
 *   node packages/lab/bench/codec.ts [--rounds 15] [--case NAME …]
 *
 * Encoding is what a server does with a batch, decoding what a reader does to have every payload as
 * a value: parsed where it is JSON, as bytes where it is bytes. Both codecs run in turn; a ratio is
 * that of two neighbouring runs, and the median of all is told with the lowest and highest.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { nativeBinary, nativeJson } from '@trunkline/server/internal/protocols/native/codec.ts';
import { decodeBase64, decodeServerFrames, decodeServerRecords, decodeUtf8 } from '@trunkline/wire';
import type { FrameRun, Message } from '@trunkline/wire';

/** Milliseconds of one timing. */
const TIMING_MS = 20;

interface CodecCase {
  readonly name: string;
  readonly run: FrameRun;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    case: { type: 'string', multiple: true },
  },
});

const payloads = {
  '128 B JSON': jsonPayload(128),
  '1 KB JSON': jsonPayload(1024),
  '1 KB binary': new Uint8Array(randomBytes(1024)),
};
const cases = Object.entries(payloads).flatMap(([name, payload]) => {
  const contentType = name.endsWith('binary') ? 'application/octet-stream' : undefined;
  return [1, 16].map((count) => caseOf(`${name} × ${count}`, payload, count, contentType));
});

console.log('binary against JSON: below 1 is better\n');
console.log('| frame | bytes | JSON bytes | size | encode | decode |');
console.log('|---|---|---|---|---|---|');
for (const one of cases) {
  if (values.case === undefined || values.case.includes(one.name)) measure(one);
}

function measure({ name, run }: CodecCase): void {
  const binary = nativeBinary.encode([run]).payload;
  const json = nativeJson.encode([run]).payload;
  const encode = compare(
    () => nativeBinary.encode([run]),
    () => nativeJson.encode([run]),
  );
  const decode = compare(
    () => readBinary(binary),
    () => readJson(json),
  );
  const size = (binary.length / json.length).toFixed(2);
  console.log(`| ${name} | ${binary.length} | ${json.length} | ${size} | ${encode} | ${decode} |`);
}

function readBinary(frame: Uint8Array): unknown[] {
  const found: unknown[] = [];
  for (const record of decodeServerRecords(frame)) {
    if (record.kind === 'json') continue;
    for (const { payload, contentType } of record.messages) {
      found.push(contentType === undefined ? JSON.parse(decodeUtf8(payload) ?? '') : payload);
    }
  }
  return found;
}

function readJson(frame: Uint8Array): unknown[] {
  const found: unknown[] = [];
  for (const message of decodeServerFrames(decodeUtf8(frame) ?? '')) {
    if (message.type !== 'message') continue;
    found.push(message.bytes === undefined ? message.data : decodeBase64(message.bytes));
  }
  return found;
}

/** How much longer one takes than the other. */
function compare(one: () => unknown, other: () => unknown): string {
  const ratios: number[] = [];
  timeOf(one);
  timeOf(other);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    ratios.push(timeOf(one) / timeOf(other));
  }
  ratios.sort((a, b) => a - b);
  const show = (value: number | undefined): string => (value ?? 0).toFixed(2);
  const median = show(ratios[Math.floor(ratios.length / 2)]);
  return `${median} (${show(ratios[0])}–${show(ratios.at(-1))})`;
}

/** Milliseconds a call, over many calls. */
function timeOf(work: () => unknown): number {
  const startMs = performance.now();
  let count = 0;
  let tookMs = 0;
  while (tookMs < TIMING_MS) {
    for (let call = 0; call < 50; call += 1) work();
    count += 50;
    tookMs = performance.now() - startMs;
  }
  return tookMs / count;
}

function caseOf(
  name: string,
  payload: Uint8Array,
  count: number,
  contentType: string | undefined,
): CodecCase {
  const messages = Array.from(
    { length: count },
    (_, index): Message => ({
      offset: 4_711 + index,
      time: 1_790_000_000_000 + index,
      payload,
      from: { user: 'alice', session: 'x7Jq2mPb91sLw0Zk' },
      ...(contentType === undefined ? {} : { contentType }),
    }),
  );
  return { name, run: { channel: 'room/42', epoch: 'k3f9x2ab', messages } };
}

function jsonPayload(size: number): Uint8Array {
  const item = { id: 9_007_199, name: 'alice', at: [52.52, 13.405], tags: ['a', 'b'], done: false };
  const items: object[] = [];
  const encoder = new TextEncoder();
  while (JSON.stringify({ items: [...items, item] }).length < size - 24) items.push(item);
  const json = JSON.stringify({ items, pad: '' });
  const pad = 'x'.repeat(Math.max(0, size - json.length));
  return encoder.encode(JSON.stringify({ items, pad }));
}
