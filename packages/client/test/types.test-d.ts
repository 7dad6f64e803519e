/**
 * The types as an application sees them. Nothing here runs: it has to compile, in this repository
 * and, by `scripts/test/build-client.test.ts`, against the declarations that are packed.
 */
import { connect, GapError, positionOf } from '@trunkline/client';
import type {
  Channel,
  CodedError,
  GapEvent,
  HistoryPage,
  Line,
  Member,
  Message,
  OpenEvent,
  Published,
  Schema,
  StateEvent,
  TokenSource,
  Transport,
} from '@trunkline/client';
import { binary } from '@trunkline/client/binary';
import { Line as CoreLine } from '@trunkline/client/core';
import { attachDevtools } from '@trunkline/client/devtools';
import { exactJson } from '@trunkline/client/exact';
import { channelStore, connectionStore, presenceStore, toReadable } from '@trunkline/client/store';
import { sharedTransport, shareTabs } from '@trunkline/client/tabs';
import { expectTypeOf } from 'vitest';
import { z } from 'zod';

interface Order {
  readonly id: number;
  readonly state?: string;
}

declare const line: Line;
declare const orders: Channel<Order>;

// A line, and everything that it is made with.
expectTypeOf(connect('https://rt.example.com')).toEqualTypeOf<Line>();
expectTypeOf(CoreLine).toEqualTypeOf<typeof Line>();
expectTypeOf(connect).parameter(0).toEqualTypeOf<string>();
connect('https://rt.example.com', { token: 'text', encoding: binary });
connect('https://rt.example.com', { token: async () => 'text', encoding: exactJson });
connect('https://rt.example.com', { token: () => 'text', tabs: shareTabs() });
// @ts-expect-error A token is a text.
connect('https://rt.example.com', { token: () => 42 });
expectTypeOf<TokenSource>().toEqualTypeOf<string | (() => string | Promise<string>)>();

expectTypeOf(sharedTransport({ transports: [] })).toEqualTypeOf<Transport>();

// What may be absent may also be undefined: where the value comes from another place it often is.
declare const perhaps: {
  readonly token: TokenSource | undefined;
  readonly after: string | undefined;
  readonly last: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly key: string | undefined;
};
connect('https://rt.example.com', { token: perhaps.token });
line.channel('orders', { after: perhaps.after, last: perhaps.last, schema: undefined });
line.channel('orders', { load: undefined, onGap: undefined });
void line.publish('orders', 1, { signal: perhaps.signal, key: perhaps.key });
void orders.history({ after: perhaps.after, signal: perhaps.signal });

// Without a type nothing is claimed of a payload.
const untyped = line.channel('orders');
expectTypeOf(untyped).toEqualTypeOf<Channel>();
untyped.subscribe((message) => {
  expectTypeOf(message).toEqualTypeOf<Message>();
  expectTypeOf(message.data).toEqualTypeOf<unknown>();
  expectTypeOf(message.bytes).toEqualTypeOf<Uint8Array | undefined>();
  expectTypeOf(message.offset).toEqualTypeOf<number | undefined>();
  expectTypeOf(positionOf(message)).toEqualTypeOf<string | undefined>();
});

// With one, messages and what is published are of it.
expectTypeOf(line.channel<Order>('orders')).toEqualTypeOf<Channel<Order>>();
orders.subscribe({
  onMessage: ({ data }) => expectTypeOf(data).toEqualTypeOf<Order>(),
  onOpen: (opening) => expectTypeOf(opening).toEqualTypeOf<OpenEvent>(),
  onGap: (gap) => expectTypeOf(gap).toEqualTypeOf<GapEvent>(),
  onEnd: (error) => expectTypeOf(error).toEqualTypeOf<unknown>(),
});
expectTypeOf(orders.subscribe(() => {})).toEqualTypeOf<() => void>();
async function read(): Promise<void> {
  for await (const message of orders) expectTypeOf(message).toEqualTypeOf<Message<Order>>();
}
void read;
expectTypeOf(orders.publish({ id: 1 })).toEqualTypeOf<Promise<Published>>();
expectTypeOf(orders.send({ id: 1 })).toEqualTypeOf<void>();
// @ts-expect-error An order's number is a number.
void orders.publish({ id: 'one' });
// @ts-expect-error A cursor has no number of an order.
orders.send({ x: 1 });
// @ts-expect-error There is no JSON of undefined.
void line.publish('orders', undefined);
for (const data of [null, 1, 'text', { id: 1 }, [1], new Uint8Array(1)]) {
  void line.publish('orders', data);
}

// @ts-expect-error A channel holds what its type says.
orders.subscribe((message: Message<{ id: string }>) => void message);

// A listener may return what it happens to have.
const heard: Order[] = [];
orders.subscribe(({ data }) => heard.push(data));
orders.subscribe(async ({ data }) => heard.push(data));

// History pages have the type of the channel.
async function turn(): Promise<void> {
  const page = await orders.history({ last: 10 });
  expectTypeOf(page).toEqualTypeOf<HistoryPage<Order>>();
  expectTypeOf(page.messages).toEqualTypeOf<readonly Message<Order>[]>();
  expectTypeOf(page.position).toEqualTypeOf<string>();
  expectTypeOf(page.next).returns.resolves.toEqualTypeOf<HistoryPage<Order> | undefined>();
  for await (const message of page) expectTypeOf(message).toEqualTypeOf<Message<Order>>();
}
void turn;

// A schema gives the type: what comes is its output, what goes its input.
const Shipment = z.object({ id: z.number(), at: z.coerce.date(), count: z.number().default(1) });
const shipments = line.channel('shipments', { schema: Shipment, last: 1 });
shipments.subscribe(({ data }) => {
  expectTypeOf(data).toEqualTypeOf<{ id: number; at: Date; count: number }>();
});
void shipments.publish({ id: 1, at: '2030-01-01' });
// @ts-expect-error The number is no number.
void shipments.publish({ id: 'one', at: '2030-01-01' });
expectTypeOf(shipments.history).returns.resolves.toEqualTypeOf<
  HistoryPage<{ id: number; at: Date; count: number }>
>();

// So does a validator made by hand, which need not say what its input is.
const upper = {
  '~standard': {
    version: 1,
    vendor: 'by hand',
    validate: (value: unknown) =>
      typeof value === 'string'
        ? { value: value.toUpperCase() }
        : { issues: [{ message: 'expected a text', path: [] }] },
  },
} as const;
const texts = line.channel('texts', { schema: upper });
expectTypeOf(texts).toEqualTypeOf<Channel<string>>();
expectTypeOf(upper).toExtend<Schema<string>>();

// Events.
line.on('state', (event) => {
  expectTypeOf(event).toEqualTypeOf<StateEvent>();
  expectTypeOf(event.state).toEqualTypeOf<'connecting' | 'connected' | 'disconnected'>();
  expectTypeOf(event.error).toEqualTypeOf<CodedError | undefined>();
});
line.on('error', (error) => {
  expectTypeOf(error).toEqualTypeOf<Error>();
  if (error instanceof GapError) expectTypeOf(error.event).toEqualTypeOf<GapEvent>();
});
expectTypeOf(line.on('token', () => {})).toEqualTypeOf<() => void>();
// @ts-expect-error There is no such event.
line.on('open', () => {});
expectTypeOf(line.call('sum')).toEqualTypeOf<Promise<unknown>>();
expectTypeOf(line.call<number>('sum', [1, 2])).toEqualTypeOf<Promise<number>>();

// Members and stores.
expectTypeOf(orders.members.all).toEqualTypeOf<readonly Member[]>();
expectTypeOf<Member['info']>().toEqualTypeOf<unknown>();
expectTypeOf(channelStore(orders).get().messages).toEqualTypeOf<readonly Message<Order>[]>();
expectTypeOf(channelStore(shipments).get().messages[0]?.data.at).toEqualTypeOf<Date | undefined>();
expectTypeOf(presenceStore(shipments).get().members).toEqualTypeOf<readonly Member[]>();
expectTypeOf(connectionStore(line).get().state).toEqualTypeOf<Line['state']>();
toReadable(channelStore(orders)).subscribe(({ messages }) => {
  expectTypeOf(messages).toEqualTypeOf<readonly Message<Order>[]>();
});
expectTypeOf(attachDevtools(line).read().state).toEqualTypeOf<Line['state']>();
