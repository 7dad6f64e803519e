/** The types of the hooks as an application sees them: see those of the client. */
import type { Channel, GapEvent, Member, Message, Published } from '@trunkline/client';
import { useChannel, useConnection, useLine, usePresence } from '@trunkline/react';
import { expectTypeOf } from 'vitest';
import { z } from 'zod';

interface Order {
  readonly id: number;
}
declare const orders: Channel<Order>;
declare const last: number | undefined;

// Without a type nothing is claimed of a payload.
expectTypeOf(useChannel('orders').messages).toEqualTypeOf<readonly Message[]>();

// By a name and a type.
const typed = useChannel<Order>('orders', { last, count: undefined, suspend: true });
expectTypeOf(typed.messages).toEqualTypeOf<readonly Message<Order>[]>();
expectTypeOf(typed.status).toEqualTypeOf<'subscribing' | 'live' | 'ended'>();
expectTypeOf(typed.gap).toEqualTypeOf<GapEvent | undefined>();
expectTypeOf(typed.error).toEqualTypeOf<unknown>();
expectTypeOf(typed.publish({ id: 1 })).toEqualTypeOf<Promise<Published>>();
// @ts-expect-error An order's number is a number.
void typed.publish({ id: 'one' });

// By a channel.
expectTypeOf(useChannel(orders).messages).toEqualTypeOf<readonly Message<Order>[]>();

// By a schema: what comes is its output, what goes its input.
const schema = z.object({ at: z.coerce.date(), count: z.number().default(1) });
const checked = useChannel('shipments', { schema });
expectTypeOf(checked.messages[0]?.data).toEqualTypeOf<{ at: Date; count: number } | undefined>();
void checked.publish({ at: '2030-01-01' });

expectTypeOf(usePresence('orders').members).toEqualTypeOf<readonly Member[]>();
expectTypeOf(usePresence(orders).count).toEqualTypeOf<number>();
expectTypeOf(useConnection().state).toEqualTypeOf<'connecting' | 'connected' | 'disconnected'>();
expectTypeOf(useLine().channel<Order>('orders')).toEqualTypeOf<Channel<Order>>();
