/**
 * NativeSession: one authenticated conversation over one link.
 *
 * `greeting` until the client is known, then `ready`, then `ended`. Commands are begun in the order
 * they came; replies carry the command's id, since they may finish in another. What one session
 * publishes to a channel gets offsets in the order sent.
 */
import {
  CodedError,
  decodeCommands,
  formatPosition,
  isWildcard,
  parseAfter,
} from '@trunkline/wire';
import type { Command, CommandId, Gap, Position, ServerFrame } from '@trunkline/wire';
import type { Identity } from '../../auth/identity.ts';
import type { Cursor } from '../../hub/cursor.ts';
import type { Caller, Subscriber } from '../../hub/hub-types.ts';
import type { Close, Frame, Link, LinkHandler } from '../../link/link.ts';
import type { Alarm, AlarmMarks } from '../../wheel.ts';
import { encodeFrame, nativeJson, toErrorFrame } from './codec.ts';
import { COMMAND_BURST_SECONDS, UNDER_WAY_MAX } from './config.ts';
import { toHistoryFrame, toHistoryRequest } from './history.ts';
import type { NativeParts } from './protocol.ts';
import { Rate } from './rate.ts';

type SessionState = 'greeting' | 'ready' | 'ended';

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

export class NativeSession implements LinkHandler, Subscriber, Alarm {
  readonly link: Link;
  readonly encoding = nativeJson;
  readonly id: string;
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: NativeParts;
  readonly #onEnd: (session: NativeSession) => void;
  readonly #rate: Rate;
  #identity: Identity | undefined;
  #state: SessionState = 'greeting';
  /** Made at the first subscription: most idle sessions have one or none. */
  #subscriptions: Map<string, Cursor> | undefined;
  /** Subscribes and unsubscribes under way, by channel. */
  #order: Map<string, Promise<void>> | undefined;
  /** Which subscription reads on first at the next drain, so that none starves. */
  #turn = 0;
  #underWay = 0;
  #paused = false;

  constructor(
    parts: NativeParts,
    link: Link,
    identity: Identity | undefined,
    onEnd: (session: NativeSession) => void,
  ) {
    this.#parts = parts;
    this.link = link;
    this.id = parts.random.word(16);
    this.#identity = identity;
    this.#onEnd = onEnd;
    const { commandsPerSecondMax } = parts.config;
    const perSecond = identity?.kind === 'server' ? 0 : commandsPerSecondMax;
    this.#rate = new Rate(perSecond, COMMAND_BURST_SECONDS, parts.clock.monotonicMs());
  }

  /** Who the client is, once it is known. */
  get identity(): Identity | undefined {
    return this.#identity;
  }

  /** Greets a client that the handshake made known, or waits for its hello. */
  begin(): void {
    if (this.#identity !== undefined) this.#welcome(this.#identity);
    else this.#parts.wheel.arm(this, this.#parts.config.helloTimeoutMs);
  }

  onFrame(frame: Frame): void {
    if (this.#state === 'ended') return;
    if (typeof frame !== 'string') {
      this.#sendError(new CodedError('bad_request', 'expected a text frame, got a binary one'));
      return;
    }
    for (const decoded of decodeCommands(frame)) {
      if (decoded.ok) this.#onCommand(decoded.command);
      else this.#sendError(decoded.error, decoded.id);
      if ((this.#state as SessionState) === 'ended') return;
    }
    this.#regulate();
  }

  onDrain(): void {
    const subscriptions = this.#subscriptions;
    if (subscriptions !== undefined && subscriptions.size > 0) {
      const cursors = [...subscriptions.values()];
      this.#turn = (this.#turn + 1) % cursors.length;
      for (let step = 0; step < cursors.length; step += 1) {
        const cursor = cursors[(this.#turn + step) % cursors.length];
        if (cursor !== undefined) this.#parts.hub.advance(cursor);
      }
    }
    this.#regulate();
  }

  onClose(): void {
    this.#end();
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    this.#send({ type: 'gap', channel, gap, position: formatPosition(position) });
  }

  /** The hello did not come in time, or the token ended. */
  onAlarm(): void {
    if (this.#state === 'greeting') this.close({ code: 'timeout', reason: 'no hello in time' });
    else if (this.#state === 'ready') {
      this.close({ code: 'unauthenticated', reason: 'the token has ended' });
    }
  }

  /** Ends the session with its code. */
  close(close: Close): void {
    this.#end();
    this.link.close(close);
  }

  /** Asks the client to come back elsewhere, at a moment of its own choice. */
  sayGoaway(withinMs: number): void {
    if (this.#state === 'ready') this.#send({ type: 'goaway', within: withinMs });
  }

  #onCommand(command: Command): void {
    const waitMs = this.#rate.take(this.#parts.clock.monotonicMs());
    if (waitMs > 0) {
      const details = {
        retryAfter: waitMs,
        ...(command.type === 'publish' ? { stored: false as const } : {}),
      };
      const { commandsPerSecondMax } = this.#parts.config;
      const message = `at most ${commandsPerSecondMax} commands a second`;
      this.#sendError(new CodedError('rate_limited', message, details), idOf(command));
      return;
    }
    if (command.type === 'ping') this.#send({ type: 'pong' });
    else if (command.type === 'hello') this.#track(this.#hello(command), command.id);
    else if (this.#state !== 'ready') {
      this.close({ code: 'unauthenticated', reason: 'say hello with a token first' });
    } else this.#track(this.#perform(command), idOf(command));
  }

  /** Counts a command as under way and answers its failure. */
  #track(work: Promise<void>, id: CommandId | undefined): void {
    this.#underWay += 1;
    work
      .catch((error: unknown) => {
        // Without an id no answer was wanted, but a refusal is one all the same.
        this.#sendError(this.#toCoded(error), id);
      })
      .finally(() => {
        this.#underWay -= 1;
        if (this.#paused) this.#regulate();
      });
  }

  #perform(command: Exclude<Command, CommandOf<'hello'> | CommandOf<'ping'>>): Promise<void> {
    switch (command.type) {
      case 'publish':
        return this.#behindOrder(command.channel, () => this.#publish(command));
      case 'subscribe':
        return this.#inOrder(command.channel, () => this.#subscribe(command));
      case 'unsubscribe':
        return this.#inOrder(command.channel, () => this.#unsubscribe(command));
      case 'history':
        return this.#history(command);
      case 'refresh':
        return this.#refresh(command);
    }
  }

  async #hello(command: CommandOf<'hello'>): Promise<void> {
    if (this.#state === 'ready' && (this.#subscriptions?.size ?? 0) > 0) {
      throw new CodedError('bad_request', 'hello must come before the first subscription');
    }
    const { authenticator } = this.#parts;
    let identity = this.#identity;
    if (command.token !== undefined || command.resume !== undefined) {
      const found =
        command.token !== undefined
          ? await authenticator.fromToken(command.token)
          : authenticator.fromTicket(command.resume ?? '');
      if (found.kind === 'refused') {
        this.close({ code: found.error.code, reason: found.error.message });
        return;
      }
      identity = found.kind === 'identity' ? found.identity : undefined;
    }
    if (this.#state === 'ended') return;
    if (identity === undefined) {
      this.close({ code: 'unauthenticated', reason: 'hello needs a token or a resume ticket' });
      return;
    }
    this.#welcome(identity, command.id);
  }

  #welcome(identity: Identity, id?: CommandId): void {
    const { config, authenticator } = this.#parts;
    this.#identity = identity;
    this.#state = 'ready';
    this.#armExpiry();
    this.#send({
      type: 'welcome',
      ...(id === undefined ? {} : { id }),
      session: this.id,
      ...(identity.user === undefined ? {} : { user: identity.user }),
      node: config.node,
      ping: config.pingIntervalMs,
      resume: authenticator.ticketFor(identity),
      limits: {
        messageBytes: config.messageBytesMax,
        frameBytes: config.frameBytesMax,
        subscriptions: config.subscriptionsMax,
        commandsPerSecond: config.commandsPerSecondMax,
        keyWindowMs: config.keyWindowMs,
      },
    });
  }

  async #publish(command: CommandOf<'publish'>): Promise<void> {
    const { id, channel, payload, contentType, event, key } = command;
    const caller = this.#caller();
    const { user } = caller.identity;
    const position = await this.#parts.hub.publish(caller, channel, {
      payload,
      ...(contentType === undefined ? {} : { contentType }),
      ...(event === undefined ? {} : { event }),
      ...(key === undefined ? {} : { key }),
      from: { ...(user === undefined ? {} : { user }), session: this.id },
    });
    if (id === undefined) return;
    const { epoch, offset } = position;
    this.#send({
      type: 'published',
      id,
      channel,
      offset,
      epoch,
      position: formatPosition(position),
    });
  }

  async #subscribe(command: CommandOf<'subscribe'>): Promise<void> {
    const { id, channel } = command;
    if (isWildcard(channel)) {
      const message = `wildcard subscriptions are not served yet, got ${channel}`;
      throw new CodedError('bad_request', message);
    }
    const subscriptions = (this.#subscriptions ??= new Map());
    const { subscriptionsMax } = this.#parts.config;
    // Those still being opened count too, or a flood of subscribes would pass the limit.
    let others = subscriptions.size - (subscriptions.has(channel) ? 1 : 0);
    for (const name of this.#order?.keys() ?? []) {
      if (name !== channel && !subscriptions.has(name)) others += 1;
    }
    if (others >= subscriptionsMax) {
      throw new CodedError('rate_limited', `at most ${subscriptionsMax} subscriptions a session`);
    }
    // [WS-13] Subscribing again restarts the subscription at its answer.
    this.#drop(channel);
    const { cursor, position, recovered, gap } = await this.#parts.hub.subscribe(
      this,
      this.#caller(),
      channel,
      {
        ...(command.after === undefined ? {} : { after: parseAfter(command.after) }),
        ...(command.last === undefined ? {} : { last: command.last }),
        ...(command.partial === undefined ? {} : { partial: command.partial }),
      },
    );
    if (this.#state === 'ended') {
      this.#parts.hub.unsubscribe(cursor);
      return;
    }
    subscriptions.set(channel, cursor);
    this.#send({
      type: 'subscribed',
      id,
      channel,
      position: formatPosition(position),
      ...(recovered === undefined ? {} : { recovered }),
      ...(gap === undefined ? {} : { gap }),
    });
    this.#parts.hub.start(cursor);
  }

  async #unsubscribe(command: CommandOf<'unsubscribe'>): Promise<void> {
    const { id, channel } = command;
    this.#drop(channel);
    this.#send({ type: 'unsubscribed', id, channel });
  }

  /** Ends the subscription to a channel, if there is one. */
  #drop(channel: string): void {
    const cursor = this.#subscriptions?.get(channel);
    if (cursor === undefined) return;
    this.#subscriptions?.delete(channel);
    this.#parts.hub.unsubscribe(cursor);
  }

  /**
   * A subscribe that came before stands before what is published: a client that asks for both at
   * once gets its own message [CMD-4].
   */
  #behindOrder(channel: string, work: () => Promise<void>): Promise<void> {
    const before = this.#order?.get(channel);
    return before === undefined ? work() : before.then(work, work);
  }

  /** What is asked of one channel's subscription is done in the order asked. */
  #inOrder(channel: string, work: () => Promise<void>): Promise<void> {
    const order = (this.#order ??= new Map());
    const before = order.get(channel);
    const done = before === undefined ? work() : before.then(work, work);
    order.set(channel, done);
    return done.finally(() => {
      if (order.get(channel) === done) order.delete(channel);
      if (order.size === 0 && this.#order === order) this.#order = undefined;
    });
  }

  async #history(command: CommandOf<'history'>): Promise<void> {
    const { hub } = this.#parts;
    const page = await hub.history(this.#caller(), command.channel, toHistoryRequest(command));
    if (this.#state !== 'ended') this.link.send(toHistoryFrame(command.id, command.channel, page));
  }

  async #refresh(command: CommandOf<'refresh'>): Promise<void> {
    const found = await this.#parts.authenticator.fromToken(command.token);
    if (this.#state === 'ended') return;
    if (found.kind === 'refused') throw found.error;
    if (found.kind === 'none') throw new CodedError('unauthenticated', 'the token is not valid');
    const { identity } = found;
    const user = this.#identity?.user;
    if (identity.user !== user) {
      throw new CodedError('forbidden', `the token must be of user ${user ?? '(none)'}`);
    }
    this.#identity = identity;
    this.#armExpiry();
    this.#send({ type: 'refreshed', id: command.id, expires: identity.expiresAt ?? 0 });
    this.#dropForbidden(identity);
  }

  /** The new token may allow less: what it no longer allows ends. */
  #dropForbidden(identity: Identity): void {
    for (const channel of [...(this.#subscriptions?.keys() ?? [])]) {
      if (this.#parts.hub.permits(identity, 'subscribe', channel)) continue;
      this.#drop(channel);
      this.#send({ type: 'unsubscribed', channel, code: 'forbidden' });
    }
  }

  /** Reads no more commands while too many answers are owed or unread. */
  #regulate(): void {
    if (this.#state === 'ended') return;
    const full = this.link.pendingBytes > this.#parts.config.highWaterSize;
    const busy = this.#underWay > (this.#paused ? UNDER_WAY_MAX / 2 : UNDER_WAY_MAX);
    if (full) this.link.requestDrain();
    if (full || busy) {
      this.#paused = true;
      this.link.setPaused(true);
    } else if (this.#paused) {
      this.#paused = false;
      this.link.setPaused(false);
    }
  }

  #armExpiry(): void {
    this.#parts.wheel.cancel(this);
    const expiresAt = this.#identity?.expiresAt;
    if (expiresAt === undefined) return;
    this.#parts.wheel.arm(this, Math.max(0, expiresAt - this.#parts.clock.unixMs()));
  }

  #caller(): Caller {
    const identity = this.#identity;
    if (identity === undefined) throw new CodedError('unauthenticated', 'say hello first');
    return { identity, session: this.id };
  }

  #send(frame: ServerFrame): void {
    if (this.#state !== 'ended') this.link.send(encodeFrame(frame));
  }

  #sendError(error: CodedError, id?: CommandId): void {
    if (this.#state !== 'ended') this.link.send(encodeFrame(toErrorFrame(error, id)));
  }

  #toCoded(error: unknown): CodedError {
    if (error instanceof CodedError) {
      if (error.code === 'internal')
        this.#parts.log.error({ error: error.cause }, 'a command failed');
      return error;
    }
    this.#parts.log.error({ error, session: this.id }, 'a command failed');
    return new CodedError('internal', 'internal error');
  }

  #end(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#parts.wheel.cancel(this);
    for (const cursor of this.#subscriptions?.values() ?? []) this.#parts.hub.unsubscribe(cursor);
    this.#subscriptions = undefined;
    this.#onEnd(this);
  }
}

function idOf(command: Command): CommandId | undefined {
  return command.type === 'ping' ? undefined : command.id;
}
