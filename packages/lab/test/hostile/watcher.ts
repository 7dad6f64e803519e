/** Watcher: a client that is told who comes and goes, and believes nothing that can't be. */
import { expect } from 'vitest';
import type { Fields } from '../../src/http.ts';
import type { WebSocketPeer } from '../../src/web-socket.ts';

/** One member of a page. */
export interface MemberTold {
  readonly session: string;
  readonly user?: string;
  readonly info?: unknown;
}

/** A page of presence, pushed or asked for. */
export interface PageTold {
  readonly members: readonly MemberTold[];
  readonly count: number;
  readonly next?: string;
}

/** A client that keeps the list of one channel as [PRES-5] and [PRES-7] have it. */
export class Watcher implements Disposable {
  readonly peer: WebSocketPeer;
  readonly #channel: string;
  readonly #members = new Map<string, MemberTold>();
  /** What each user was told to have done last, since the last snapshot. */
  readonly #told = new Map<string, unknown>();
  /** Where the page ended from which on the list is not known. */
  #next: string | undefined;
  /** Joins, leaves and snapshots that it was told. */
  told = 0;
  snapshots = 0;
  count = 0;

  private constructor(peer: WebSocketPeer, channel: string) {
    this.peer = peer;
    this.#channel = channel;
  }

  /** Subscribes to a channel and to who is there. */
  static async begin(peer: WebSocketPeer, channel: string): Promise<Watcher> {
    const watcher = new Watcher(peer, channel);
    const answer = await peer.call({ type: 'subscribe', id: 0, channel, presence: true });
    expect(answer).toMatchObject({ type: 'subscribed' });
    watcher.#replace(pageOf(answer));
    return watcher;
  }

  get users(): string[] {
    return usersOf(this.#members.values());
  }

  /** Takes all that was pushed up to now, and what of the list it was not pushed. */
  async settle(): Promise<void> {
    this.peer.send({ type: 'ping' });
    await this.#takeTo(({ type }) => type === 'pong');
    for (let id = 1; this.#next !== undefined; id += 1) {
      const command = { type: 'presence', id, channel: this.#channel, limit: 1_000 };
      this.peer.send({ ...command, after: this.#next });
      this.#add(pageOf(await this.#takeTo((fields) => fields['id'] === id)));
    }
  }

  [Symbol.dispose](): void {
    this.peer[Symbol.dispose]();
  }

  /** Takes what is pushed before the answer. */
  async #takeTo(isAnswer: (fields: Fields) => boolean): Promise<Fields> {
    for (;;) {
      const fields = await this.peer.next();
      if (isAnswer(fields)) return fields;
      this.#take(fields);
    }
  }

  #take(fields: Fields): void {
    this.told += 1;
    if (fields['type'] === 'presence') {
      this.snapshots += 1;
      this.#replace(pageOf(fields));
      return;
    }
    const member = fields['member'] as MemberTold;
    const { user: name = '' } = member;
    // [PRES-5] Joins and leaves alternate; whoever goes was there, as far as the list is known.
    expect([name, this.#told.get(name)]).not.toEqual([name, fields['type']]);
    this.#told.set(name, fields['type']);
    if (fields['type'] === 'leave' && this.#next === undefined) expect(this.users).toContain(name);
    for (const { session, user } of [...this.#members.values()]) {
      if (user === member.user) this.#members.delete(session);
    }
    if (fields['type'] === 'join') this.#members.set(member.session, member);
  }

  #replace(page: PageTold): void {
    this.#members.clear();
    this.#told.clear();
    this.#add(page);
  }

  #add({ members, count, next }: PageTold): void {
    for (const member of members) this.#members.set(member.session, member);
    this.count = count;
    this.#next = next;
  }
}

/** The names of members, sorted; each as often as it has sessions. */
export function usersOf(members: Iterable<MemberTold>): string[] {
  return [...members].map(({ user = '' }) => user).sort();
}

function pageOf(fields: Fields): PageTold {
  const { members, count, next } = fields;
  const page = { members: members as readonly MemberTold[], count: Number(count) };
  return typeof next === 'string' ? { ...page, next } : page;
}
