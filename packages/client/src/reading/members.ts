/**
 * Members: who is present in a channel, as one set that lives. People are in it, not connections:
 * each user once, as the session that came first [PRES-3] [PRES-5]; who is nobody counts by session.
 *
 * The server tells the whole list by its first page, and changes one by one. The other pages are
 * asked for, and what is told meanwhile is newer than they are. Until all are there the list from
 * before is kept, so that nobody seems gone because of a page that has not come yet.
 */
import type { Member, MemberPage } from '@trunkline/wire';
import type { PresenceEvent } from '../events.ts';
import type { Platform, Timer } from '../platform.ts';
import { Listeners } from './listeners.ts';

/** Beyond so many users the others are only counted. */
export const MEMBERS_MAX = 10_000;

/** Pages of one list; a server whose pages are smaller is not followed to its end. */
const PAGES_MAX = 500;

/**
 * Between two readings of all pages there is this pause, or up to twice as long: a crowded channel
 * tells its first page every second, to everyone. After a failure it doubles, so many times at most.
 */
const PAUSE_MS = 5000;
const DOUBLINGS_MAX = 5;

/** Where the server has told nothing so long after the opening, the transport has no way to. */
const TOLD_MS_MAX = 2000;

/** Asks for the page after the cursor, or for the first one. */
export type FetchPage = (after?: string) => Promise<MemberPage>;

export class Members {
  readonly #fetchPage: FetchPage;
  readonly #platform: Pick<Platform, 'clock' | 'random'>;
  readonly #follow: () => () => void;
  readonly #listeners = new Listeners();
  #users = new Map<string, Member>();
  /** The list that is being read, page by page. */
  #draft = this.#users;
  /** Who came or went since the server told its newest list; kept while pages are to be read. */
  readonly #changed = new Set<string>();
  /** Another one ends the reading of pages that is under way. */
  #reading = 0;
  /** True while pages are read, and in the pause after it. */
  #isBusy = false;
  /** The list has to be read again when the pause is over. */
  #isDue = false;
  /** Nothing is told: the list is read again and again. */
  #isPolled = false;
  #failures = 0;
  #pause: Timer | undefined;
  #count = 0;
  #version = 0;
  #isLive = false;
  #isComplete = false;
  #all: readonly Member[] | undefined;

  /** @param follow has the channel followed, until the function that it returns is called. */
  constructor(
    fetchPage: FetchPage,
    platform: Pick<Platform, 'clock' | 'random'>,
    follow: () => () => void,
  ) {
    this.#fetchPage = fetchPage;
    this.#platform = platform;
    this.#follow = follow;
  }

  /** Each user once, in no particular order. The same array until something changes. */
  get all(): readonly Member[] {
    this.#all ??= [...this.#users.values()];
    return this.#all;
  }

  /** Users, also those who are not listed. */
  get count(): number {
    return this.#count;
  }

  /** Grows with every change. */
  get version(): number {
    return this.#version;
  }

  /** False while pages are being read, and where there are too many users to list. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** False while nothing is told: the list is as it was when the connection was lost. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** True when the user is listed. */
  has(user: string): boolean {
    return this.#users.has(keyOf({ user }));
  }

  /**
   * Follows who comes and goes, and tells of changes, those of one turn once. The returned function
   * ends it. A refusal is an `error` of the line where nobody reads the channel.
   */
  subscribe(listener: () => void): () => void {
    const ends = [this.#listeners.add(listener), this.#follow()];
    return () => {
      for (const end of ends) end();
    };
  }

  /** Takes what the server told of the channel, in order. */
  apply(event: PresenceEvent): void {
    if (event.kind === 'presence') this.#replace(event);
    else this.#change(event.member, event.kind === 'join');
    this.#tell();
  }

  /**
   * The channel is read from now on. The server tells who is there, or, where the transport has no
   * way to tell, it is asked again and again.
   */
  open(): void {
    if (this.#isLive) return;
    this.#stop();
    this.#pause = this.#platform.clock.after(TOLD_MS_MAX, () => {
      this.#isPolled = true;
      void this.#read(); // It never rejects.
    });
  }

  /** The connection is lost: the list stays as it is until another one comes. */
  pause(): void {
    this.#stop();
    this.#isPolled = false;
    if (!this.#isLive) return;
    this.#isLive = false;
    this.#tell();
  }

  /** Nothing is told any more, and nobody is listed. */
  clear(): void {
    this.#users = new Map();
    this.#count = 0;
    this.#isComplete = false;
    this.#isLive = true;
    this.pause();
  }

  /** [PRES-7] */
  #replace(page: MemberPage): void {
    if (!this.#isLive) this.#stop();
    this.#isPolled = false;
    this.#isLive = true;
    this.#isComplete = page.next === undefined;
    this.#count = page.count;
    this.#changed.clear();
    if (!this.#isComplete && page.count <= MEMBERS_MAX) {
      if (this.#isBusy) this.#isDue = true;
      else void this.#read(page); // It never rejects.
      return;
    }
    this.#users = new Map();
    this.#stop();
    this.#add(page);
  }

  /** [PRES-5] */
  #change(member: Member, isThere: boolean): void {
    const key = keyOf(member);
    for (const list of [this.#users, this.#draft]) {
      list.delete(key);
      if (isThere && list.size < MEMBERS_MAX) list.set(key, member);
    }
    if (this.#isBusy && this.#changed.size < MEMBERS_MAX) this.#changed.add(key);
    this.#isComplete &&= this.#users.has(key) === isThere;
    if (this.#isComplete) this.#count = this.#users.size;
    else this.#count = Math.max(0, this.#count + (isThere ? 1 : -1));
  }

  /** Reads all pages; the first one is the one given, or it is asked for. */
  async #read(first?: MemberPage): Promise<void> {
    this.#stop();
    const reading = this.#reading;
    this.#isBusy = true;
    this.#draft = new Map();
    // Pages have nothing newer of them.
    for (const key of this.#changed) {
      const member = this.#users.get(key);
      if (member !== undefined) this.#draft.set(key, member);
    }
    // The first list of all is shown while it comes.
    if (this.#users.size === 0) this.#users = this.#draft;
    let next: string | undefined;
    let failures = 0;
    try {
      for (let pages = 0; pages < PAGES_MAX && this.#draft.size < MEMBERS_MAX; pages += 1) {
        const page = (pages === 0 && first) || (await this.#fetchPage(next));
        if (reading !== this.#reading) return;
        if (pages === 0) this.#count = page.count;
        this.#isLive = true;
        this.#add(page);
        this.#tell();
        next = page.next;
        if (next === undefined || page.count > MEMBERS_MAX) break;
      }
      this.#users = this.#draft;
      this.#isComplete = next === undefined && !this.#isDue;
      if (this.#isComplete) this.#count = this.#users.size;
    } catch {
      if (reading !== this.#reading) return;
      failures = Math.min(this.#failures + 1, DOUBLINGS_MAX);
      this.#isDue = true;
    }
    this.#failures = failures;
    const { clock, random } = this.#platform;
    this.#pause = clock.after(PAUSE_MS * 2 ** failures * (1 + random()), () => {
      this.#isBusy = false;
      if (this.#isDue || this.#isPolled) void this.#read(); // It never rejects.
    });
  }

  /** Adds a page to the list that is read, but for those of whom something newer is known. */
  #add({ members }: MemberPage): void {
    for (const member of members) {
      const key = keyOf(member);
      const other = this.#draft.get(key);
      if (this.#changed.has(key) || (other && other.since <= member.since)) continue;
      if (this.#draft.size < MEMBERS_MAX) this.#draft.set(key, member);
    }
  }

  /** Reads no more pages. */
  #stop(): void {
    this.#reading += 1;
    this.#isBusy = false;
    this.#isDue = false;
    this.#pause?.cancel();
    this.#draft = this.#users;
  }

  #tell(): void {
    this.#version += 1;
    this.#all = undefined;
    this.#listeners.tell();
  }
}

/** Users and sessions are names of two kinds. */
function keyOf({ user, session }: Partial<Member>): string {
  return user === undefined ? `s${session}` : `u${user}`;
}
