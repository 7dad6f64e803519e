/**
 * Seat: a member that is connected, on its way round. It takes messages as any subscription of its
 * session does: in its own form, with its packet identifiers, as far as its window and link have room.
 */
import type { Message } from '@trunkline/wire';
import type { Caller, Run } from '../../../hub/hub-types.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { Outlet } from '../delivery/outlet.ts';
import { PublishBatch, toPublication } from '../messages/encoding.ts';
import type { Publication } from '../messages/encoding.ts';
import type { Form } from '../messages/form.ts';
import { NO_END } from '../messages/place.ts';
import type { Place } from '../messages/place.ts';
import type { Loss } from '../session/losses.ts';
import type { Member } from './member.ts';
import { SharedPlace } from './shared-place.ts';

/** What a seat needs of its session. */
export interface SeatSession {
  readonly delivery: Delivery;
  /** Resolves when all that the session keeps by now is stored; absent where it keeps nothing. */
  readonly store: (() => Promise<void>) | undefined;
  /** Who it is, now. */
  caller(): Caller;
  /** Messages are lost to the group, and this member is to hear of it. */
  onLoss(loss: Loss): void;
}

/** What a seat needs of its group. */
export interface SeatGroup {
  /** The whole filter. */
  readonly share: string;
  /** Unsent bytes of a link above which its member is passed over. */
  readonly highWaterSize: number;
  /** Resolves when it is stored where the group stands. */
  store(): Promise<void>;
}

/** A message on its way, whatever brought it. */
export interface Item {
  readonly run: Pick<Run, 'channel' | 'epoch'>;
  readonly message: Message;
}

export class Seat {
  readonly member: Member;
  readonly session: SeatSession;
  form: Form;
  /** True once it is to be given messages. */
  isOpen = false;
  readonly #outlet: Outlet;
  readonly #group: SeatGroup;

  constructor(member: Member, session: SeatSession, form: Form, group: SeatGroup) {
    this.member = member;
    this.session = session;
    this.form = form;
    this.#group = group;
    this.#outlet = new Outlet(session.delivery, form.qos);
    // After the member's window, so that a crash in between gives the message to nobody else.
    this.#outlet.store = async () => {
      const places = [...member.unstored];
      await session.store?.();
      for (const place of places) member.unstored.delete(place);
      await group.store();
    };
  }

  /** False when it is to be passed over. */
  get hasRoom(): boolean {
    return this.isOpen && this.#outlet.pendingBytes <= this.#group.highWaterSize;
  }

  /** It was subscribed to with other options. */
  change(form: Form): void {
    this.form = form;
    this.#outlet.qos = form.qos;
    this.member.qos = form.qos;
  }

  /** Asks to be told, as its session is, when there is room again. */
  requestRoom(): void {
    this.#outlet.requestDrain();
  }

  /** The message as this member gets it; `undefined` when its client does not take so many bytes. */
  publicationOf({ run, message }: Item, nowMs: number): Publication | undefined {
    const publication = toPublication(run, message, this.form, { nowMs });
    return this.session.delivery.isTooLarge(publication.frame) ? undefined : publication;
  }

  /** Sends it. There must be room. */
  give({ frame, place }: Publication): void {
    const { qos } = frame.shared;
    const own: Place = qos === 0 ? place : new SharedPlace(place, this.#group.share);
    if (qos === 1 && own instanceof SharedPlace) this.member.lend(own);
    // The record of the group may be written before that of the session is.
    if (qos === 2 && own instanceof SharedPlace && this.session.store !== undefined) {
      this.member.unstored.add(own);
    }
    this.session.delivery.deliver(
      this.#outlet,
      // The group knows whom it has given it to, and the member reads nothing of it by itself.
      new PublishBatch([{ frame, place: own, time: Infinity }], NO_END),
      false,
    );
  }

  /** Nothing more is sent, not even what was not sent yet. */
  leave(): void {
    this.session.delivery.drop(this.#outlet);
  }
}
