/**
 * Audience: those who want to be told who comes and goes in one channel.
 *
 * The first change is told at the end of its turn. Then comes a pause, and what changes meanwhile is
 * told together when it is over. A watcher whose link has too much unsent is told nothing, and gets
 * one snapshot when it has drained: nothing piles up.
 */
import type { Member, MemberPage } from '@trunkline/wire';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import { Changes } from './changes.ts';
import type { News } from './changes.ts';
import type { Delayed, DelayQueue } from './delay-queue.ts';
import { PresenceBatch } from './presence-batch.ts';
import type { PresenceEvent, PresenceWatcher } from './presence-types.ts';

/** What audiences are built from. */
export interface AudienceParts {
  readonly turn: Pick<Turn, 'prepare'>;
  readonly log: Log;
  /** Unsent bytes of a link above which its watchers are told nothing. */
  readonly highWaterSize: number;
  /** The pauses after changes and after a snapshot were told. */
  readonly pauses: Readonly<Record<'batch' | 'busy', DelayQueue<Audience>>>;
  /** What was told since the start, by kind; for the metrics. */
  readonly toldCounts: Map<PresenceEvent['kind'], number>;
  /** The first page of the list, as it is now. */
  readonly firstPage: (channel: string) => MemberPage;
}

/** One who watches a channel. Only its audience changes it. */
export class Watch {
  readonly watcher: PresenceWatcher;
  readonly audience: Audience;
  /** `behind`: it does not know who is there, and what changes means nothing to it. */
  state: 'behind' | 'live' | 'ended' = 'behind';

  constructor(watcher: PresenceWatcher, audience: Audience) {
    this.watcher = watcher;
    this.audience = audience;
  }
}

/** The watchers of one channel. */
export class Audience implements Delayed<Audience> {
  readonly channel: string;
  dueMs = 0;
  earlier: Audience | undefined = undefined;
  later: Audience | undefined = undefined;
  readonly #parts: AudienceParts;
  readonly #watches = new Set<Watch>();
  /** What is not told yet; most channels are quiet at most times. */
  #changes: Changes | undefined;
  /** True when the changes will be told at the end of this turn. */
  #asked = false;
  /** The pause it is in. */
  #pause: DelayQueue<Audience> | undefined;
  /** Who is there, for all who become live in this turn: the next batch brings them the rest. */
  #snapshot: { readonly page: MemberPage; readonly batch: PresenceBatch } | undefined;

  constructor(channel: string, parts: AudienceParts) {
    this.channel = channel;
    this.#parts = parts;
  }

  /** Watchers. */
  get size(): number {
    return this.#watches.size;
  }

  /** Adds a watcher, who is told nothing before `advance` or `show`. */
  add(watcher: PresenceWatcher): Watch {
    const watch = new Watch(watcher, this);
    this.#watches.add(watch);
    return watch;
  }

  /** Ends a watch. Idempotent. */
  delete(watch: Watch): void {
    watch.state = 'ended';
    this.#watches.delete(watch);
    if (this.#watches.size > 0) return;
    this.#pause?.remove(this);
    this.#pause = undefined;
  }

  /** Ends all watches. */
  close(): void {
    for (const watch of this.#watches) this.delete(watch);
  }

  /** A person came. @param person the same object when it goes. */
  onJoin(person: object, member: Member): void {
    this.#pending().join(person, member);
    this.#ask();
  }

  /** A person went. */
  onLeave(person: object, member: Member): void {
    this.#pending().leave(person, member);
    this.#ask();
  }

  /** The list has changed in a way that nobody is told. */
  onQuietChange(): void {
    this.#snapshot = undefined;
  }

  /** Somebody reads the list as it is now. */
  look(): void {
    this.#changes?.look();
  }

  /** The caller tells the watcher who is there, right now, and all that follows is told here. */
  show(watch: Watch): MemberPage {
    if (watch.state === 'behind') watch.state = 'live';
    return this.#currentSnapshot().page;
  }

  /** Tells a watcher that is behind who is there, as soon as its link has room. */
  advance(watch: Watch): void {
    if (watch.state !== 'behind') return;
    if (this.#isFull(watch)) {
      watch.watcher.link.requestDrain();
      return;
    }
    watch.state = 'live';
    this.#tell(watch, this.#currentSnapshot().batch);
  }

  /** The pause is over. */
  onPauseOver(): void {
    this.#pause = undefined;
    this.#flush();
  }

  #ask(): void {
    if (this.#asked || this.#pause !== undefined) return;
    this.#asked = true;
    this.#parts.turn.prepare(() => this.#flush());
  }

  #pending(): Changes {
    return (this.#changes ??= new Changes());
  }

  #flush(): void {
    this.#asked = false;
    if (this.#watches.size === 0) return;
    const news = this.#changes?.take();
    this.#changes = undefined;
    if (news === undefined) return;
    this.#snapshot = undefined;
    const isSnapshot = news === 'snapshot';
    this.#count(news);
    const batch = isSnapshot
      ? this.#currentSnapshot().batch
      : new PresenceBatch(this.channel, news, this.#parts.log);
    for (const watch of this.#watches) this.#deliver(watch, batch);
    this.#pause = this.#parts.pauses[isSnapshot ? 'busy' : 'batch'];
    this.#pause.add(this);
  }

  #count(news: News): void {
    const { toldCounts } = this.#parts;
    const kinds = news === 'snapshot' ? [news] : news.map(({ kind }) => kind);
    for (const kind of kinds) toldCounts.set(kind, (toldCounts.get(kind) ?? 0) + 1);
  }

  #deliver(watch: Watch, batch: PresenceBatch): void {
    if (watch.state !== 'live') return;
    if (this.#isFull(watch)) {
      watch.state = 'behind';
      watch.watcher.link.requestDrain();
      return;
    }
    this.#tell(watch, batch);
  }

  /** What can't be told is not skipped: the link ends and says that the fault is ours. */
  #tell(watch: Watch, batch: PresenceBatch): void {
    const { link, presenceEncoding } = watch.watcher;
    const shared = batch.encoded(presenceEncoding);
    if (shared !== undefined) {
      link.sendShared(shared);
      return;
    }
    watch.state = 'ended'; // Its owner takes it out when the link is gone.
    link.close({ code: 'internal' });
  }

  #isFull({ watcher }: Watch): boolean {
    return watcher.link.pendingBytes > this.#parts.highWaterSize;
  }

  /** Many who begin to watch at about the same time are shown the same. */
  #currentSnapshot(): { readonly page: MemberPage; readonly batch: PresenceBatch } {
    if (this.#snapshot !== undefined) return this.#snapshot;
    // Who came and was not told yet is seen now, so that his leave will have to be told.
    this.look();
    const page = this.#parts.firstPage(this.channel);
    const batch = new PresenceBatch(this.channel, [{ kind: 'snapshot', page }], this.#parts.log);
    const snapshot = { page, batch };
    this.#snapshot = snapshot;
    this.#parts.turn.prepare(() => {
      if (this.#snapshot === snapshot) this.#snapshot = undefined;
    });
    return snapshot;
  }
}
