/**
 * NativeSession: one authenticated conversation over one link.
 *
 * `greeting` until the client is known, then `ready`, then `ended`. Commands are begun in the order
 * they came; replies carry the command's id, since they may finish in another. What one session
 * publishes to a channel gets offsets in the order sent.
 */
import { CodedError, formatPosition } from '@trunkline/wire';
import type {
  Command,
  CommandId,
  Decoded,
  Gap,
  Position,
  Sender,
  ServerFrame,
} from '@trunkline/wire';
import type { Identity } from '../../auth/identity.ts';
import type { Caller, Encoding } from '../../hub/hub-types.ts';
import { FIRST_SIZE_MAX } from '../../hub/presence/config.ts';
import type { PresenceEncoding } from '../../hub/presence/presence-types.ts';
import type { Close, Frame, Link, LinkHandler } from '../../link/link.ts';
import { TokenBucket } from '../../token-bucket.ts';
import type { Alarm, AlarmMarks } from '../../wheel.ts';
import { publishedFrame, subscribedFrame, toSubscribeRequest } from './answers.ts';
import { toErrorFrame } from './codec.ts';
import type { NativeCodec } from './codec.ts';
import { ANSWER_SIZE, COMMAND_BURST_SECONDS, OWED_SIZE_MAX, UNREAD_PART } from './config.ts';
import { toHistoryRequest } from './history.ts';
import type { Subscribing } from './opening.ts';
import type { NativeOpening, NativeParts } from './protocol.ts';
import { toPageFrame, toPageRequest } from './presence.ts';
import { SubscriberApart } from './subscriber-apart.ts';
import type { ApartSession } from './subscriber-apart.ts';
import { Subscriptions } from './subscriptions.ts';
import type { SubscribingSession } from './subscriptions.ts';

type SessionState = 'greeting' | 'ready' | 'ended';

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

/** What was read and not begun; `nothing` stands for a frame without a command [CMD-5]. */
type Waiting = Decoded | 'nothing';

/** One client's conversation. */
export class NativeSession implements LinkHandler, SubscribingSession, ApartSession, Alarm {
  readonly link: Link;
  readonly id: string;
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: NativeParts;
  readonly #codec: NativeCodec;
  readonly #onEnd: (session: NativeSession) => void;
  readonly #rate: TokenBucket;
  #identity: Identity | undefined;
  /** Whose messages this client's are; the same object in all of them. */
  #sender: Sender | undefined;
  #state: SessionState = 'greeting';
  /** While a hello is being judged: what came behind it waits for that. */
  #greeting: Promise<void> | undefined;
  readonly #subscriptions: Subscriptions;
  /** Commands that were read and not begun, in order: at most those of one frame. */
  #waiting: Waiting[] = [];
  /** Bytes of the answers that commands under way will have, roughly. */
  #owedSize = 0;
  #paused = false;

  constructor(
    parts: NativeParts,
    link: Link,
    opening: NativeOpening,
    onEnd: (session: NativeSession) => void,
  ) {
    this.#parts = parts;
    this.link = link;
    this.#codec = opening.codec;
    this.id = parts.random.word(16);
    this.#identity = opening.identity;
    this.#onEnd = onEnd;
    const { commandsPerSecondMax, subscriptionsMax } = parts.config;
    const burst = commandsPerSecondMax * COMMAND_BURST_SECONDS;
    this.#rate = new TokenBucket(burst, commandsPerSecondMax, parts.clock.monotonicMs());
    this.#subscriptions = new Subscriptions(parts.hub, this, subscriptionsMax);
  }

  get encoding(): Encoding {
    return this.#codec.encoding;
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
    if (this.#isEnded) return;
    const decoded = this.#codec.decode(frame);
    if (decoded.length === 0) this.#waiting.push('nothing');
    else this.#waiting.push(...decoded);
    this.#beginCommands();
  }

  onDrain(): void {
    // First, or a client that reads a long backlog could not be answered meanwhile.
    this.#beginCommands();
    this.#subscriptions.advance();
  }

  onClose(): void {
    this.#end();
  }

  get presenceEncoding(): PresenceEncoding {
    return this.#codec.presence;
  }

  onMark([channel = '']: readonly string[], mark: string): void {
    this.#send({ type: 'mark', channel, mark });
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    this.#send({ type: 'gap', channel, gap, position: formatPosition(position) });
  }

  apart(as: number): Subscribing {
    return new SubscriberApart(this, as, this.#codec.apart(as));
  }

  /** Tells the client something of a subscription that stands apart. */
  tell(frame: ServerFrame): void {
    this.#send(frame);
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

  /** @throws {CodedError} before the client is known. */
  caller(): Caller {
    const identity = this.#identity;
    if (identity === undefined) throw new CodedError('unauthenticated', 'say hello first');
    return { identity, session: this.id };
  }

  get #isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Everything that comes costs the same, or what is no command would be free [CMD-5]. */
  #begin(waiting: Waiting): void {
    const limited = this.#overRate(waiting);
    if (limited !== undefined) this.#sendError(limited, idOfWaiting(waiting));
    else if (waiting === 'nothing') return;
    else if (waiting.ok) this.#onCommand(waiting.command);
    else this.#sendError(waiting.error, waiting.id);
  }

  #onCommand(command: Command): void {
    if (command.type === 'ping') this.#send({ type: 'pong' });
    else if (command.type === 'hello') this.#greet(command);
    else if (this.#greeting !== undefined) {
      // Begun in the order in which they came [CMD-4], if there is still a session to do it.
      const begin = () => (this.#state === 'ready' ? this.#perform(command) : undefined);
      this.#track(command, this.#greeting.then(begin));
    } else if (this.#state !== 'ready') {
      this.close({ code: 'unauthenticated', reason: 'say hello with a token first' });
    } else this.#track(command, this.#perform(command));
  }

  /** The refusal of a command that comes too soon. Applications have no rate [AUTH-3]. */
  #overRate(waiting: Waiting): CodedError | undefined {
    if (this.#identity?.kind === 'server') return undefined;
    const waitMs = this.#rate.take(this.#parts.clock.monotonicMs());
    if (waitMs === 0) return undefined;
    const stored = isPublish(waiting) ? { stored: false as const } : {};
    const { commandsPerSecondMax } = this.#parts.config;
    const message = `at most ${commandsPerSecondMax} commands a second`;
    return new CodedError('rate_limited', message, { retryAfter: waitMs, ...stored });
  }

  /** Counts a command as under way and answers its failure. */
  #track(command: Command, work: Promise<unknown>): void {
    const size = answerSize(command);
    this.#owedSize += size;
    const settle = (): void => {
      this.#owedSize -= size;
      if (this.#paused) this.#beginCommands();
    };
    work.then(settle, (error: unknown) => {
      // Without an id no answer was wanted, but a refusal is one all the same.
      this.#sendError(this.#toCoded(error), idOf(command));
      settle();
    });
  }

  #perform(command: Exclude<Command, CommandOf<'hello'> | CommandOf<'ping'>>): Promise<void> {
    switch (command.type) {
      case 'publish':
        return this.#subscriptions.behind(command.channel, () => this.#publish(command));
      case 'subscribe':
        return this.#subscribe(command);
      case 'unsubscribe':
        return this.#unsubscribe(command);
      case 'history':
        return this.#history(command);
      case 'presence':
        return this.#presence(command);
      case 'refresh':
        return this.#refresh(command);
    }
  }

  /** Judges a hello; those that come together are judged one after another. */
  #greet(command: CommandOf<'hello'>): void {
    const before = this.#greeting;
    const hello = () => this.#hello(command);
    const work = before === undefined ? hello() : before.then(hello);
    this.#track(command, work);
    const judged = work
      .catch(() => {})
      .finally(() => {
        if (this.#greeting === judged) this.#greeting = undefined;
      });
    this.#greeting = judged;
  }

  async #hello(command: CommandOf<'hello'>): Promise<void> {
    if (this.#isEnded) return;
    if (!this.#subscriptions.isEmpty) {
      throw new CodedError('bad_request', 'hello must come before the first subscription');
    }
    const found = await this.#identify(command);
    if (this.#isEnded) return;
    if (!(found instanceof CodedError)) {
      this.#welcome(found, command.id);
      return;
    }
    // The error says what was wrong; a close has room for a fixed phrase only [CODE-6].
    this.#sendError(found, command.id);
    this.close({ code: found.code });
  }

  /** Who says hello, or why nobody. */
  async #identify({ token, resume }: CommandOf<'hello'>): Promise<Identity | CodedError> {
    const { authenticator } = this.#parts;
    const nobody = new CodedError('unauthenticated', 'hello needs a token or a resume ticket');
    if (token === undefined && resume === undefined) return this.#identity ?? nobody;
    const found =
      token === undefined
        ? authenticator.fromTicket(resume ?? '')
        : await authenticator.fromToken(token);
    if (found.kind === 'refused') return found.error;
    return found.kind === 'identity' ? found.identity : nobody;
  }

  #welcome(identity: Identity, id?: CommandId): void {
    const { config, authenticator } = this.#parts;
    this.#identity = identity;
    this.#sender = undefined;
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
    const { id, channel } = command;
    const caller = this.caller();
    const from = (this.#sender ??= toSender(caller));
    const position = await this.#parts.hub.publish(caller, channel, { ...command, from });
    if (id !== undefined) this.#send(publishedFrame(id, channel, position));
  }

  #subscribe(command: CommandOf<'subscribe'>): Promise<void> {
    const { channel, as } = command;
    return this.#subscriptions.subscribe(toSubscribeRequest(command), (answer) => {
      this.#send(subscribedFrame(command, answer));
      const { snapshot } = answer;
      if (snapshot === undefined || this.#isEnded) return;
      const writing = as === undefined ? this.#codec : this.#codec.apart(as);
      this.link.sendShared(writing.snapshot(channel, snapshot));
    });
  }

  async #presence(command: CommandOf<'presence'>): Promise<void> {
    const { id, channel } = command;
    const { hub } = this.#parts;
    hub.demand(this.caller().identity, 'presence', channel);
    this.#send(toPageFrame(id, channel, hub.presence.page(channel, toPageRequest(command))));
  }

  #unsubscribe({ id, channel, as }: CommandOf<'unsubscribe'>): Promise<void> {
    const name = as === undefined ? { channel } : { channel, as };
    return this.#subscriptions.unsubscribe(name, () => {
      this.#send({ type: 'unsubscribed', id, ...name });
    });
  }

  async #history(command: CommandOf<'history'>): Promise<void> {
    const { hub } = this.#parts;
    const { id, channel } = command;
    const page = await hub.history(this.caller(), channel, toHistoryRequest(command));
    if (!this.#isEnded) this.link.send(this.#codec.history(id, channel, page));
  }

  async #refresh(command: CommandOf<'refresh'>): Promise<void> {
    const found = await this.#parts.authenticator.fromToken(command.token);
    if (this.#isEnded) return;
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
    // What the new token does not allow any more ends [WS-14].
    for (const name of this.#subscriptions.dropForbidden()) {
      this.#send({ type: 'unsubscribed', code: 'forbidden', ...name });
    }
  }

  /**
   * Begins what waits, until too many answers are owed or unread; then nothing more is read either.
   * So it is a peer that does not read, and never one that asks much, whose answers pile up [WS-5].
   */
  #beginCommands(): void {
    let begun = 0;
    while (begun < this.#waiting.length && !this.#isEnded && !this.#isHeldBack()) {
      const waiting = this.#waiting[begun];
      begun += 1;
      if (waiting !== undefined) this.#begin(waiting);
    }
    if (this.#isEnded) return;
    if (begun > 0) this.#waiting = this.#waiting.slice(begun);
    const heldBack = this.#isHeldBack();
    if (heldBack && this.link.pendingBytes > 0) this.link.requestDrain();
    const paused = heldBack || this.#waiting.length > 0;
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.link.setPaused(paused);
  }

  #isHeldBack(): boolean {
    if (this.#owedSize >= OWED_SIZE_MAX) return true;
    return this.link.pendingBytes > this.#parts.config.highWaterSize / UNREAD_PART;
  }

  #armExpiry(): void {
    this.#parts.wheel.cancel(this);
    const expiresAt = this.#identity?.expiresAt;
    if (expiresAt === undefined) return;
    this.#parts.wheel.arm(this, Math.max(0, expiresAt - this.#parts.clock.unixMs()));
  }

  #send(frame: ServerFrame): void {
    if (!this.#isEnded) this.link.send(this.#codec.frame(frame));
  }

  #sendError(error: CodedError, id?: CommandId): void {
    this.#send(toErrorFrame(error, id));
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
    if (this.#isEnded) return;
    this.#state = 'ended';
    this.#waiting = [];
    this.#parts.wheel.cancel(this);
    this.#subscriptions.end();
    this.#onEnd(this);
  }
}

function toSender({ identity: { user }, session }: Caller): Sender {
  return user === undefined ? { session } : { user, session };
}

/**
 * About how many bytes the answer to a command has. Pages are read and sent one at a time, and so are
 * snapshots for subscriptions that stand apart, which are written for each.
 */
function answerSize(command: Command): number {
  if (command.type === 'history' || command.type === 'presence') return OWED_SIZE_MAX;
  const hasSnapshot = command.type === 'subscribe' && command.snapshot === true;
  if (hasSnapshot && command.as !== undefined) return OWED_SIZE_MAX;
  const first = command.type === 'subscribe' && command.presence === true ? FIRST_SIZE_MAX : 0;
  return ANSWER_SIZE + first + ('channel' in command ? 2 * command.channel.length : 0);
}

function idOfWaiting(waiting: Waiting): CommandId | undefined {
  if (waiting === 'nothing') return undefined;
  return waiting.ok ? idOf(waiting.command) : waiting.id;
}

/** Also one that is malformed. */
function isPublish(waiting: Waiting): boolean {
  if (waiting === 'nothing') return false;
  return waiting.ok ? waiting.command.type === 'publish' : waiting.error.stored === false;
}

function idOf(command: Command): CommandId | undefined {
  return command.type === 'ping' ? undefined : command.id;
}
