/**
 * Filter index: which filters match a channel, found without trying each of them.
 *
 * A filter is a channel's name or a pattern ([CH-3]). The index is a tree of segments in which runs
 * that no filter parts from are one node, so that it has at most two nodes a filter, however many
 * segments that has. A node is visited only if everything above it matches.
 *
 * A value stands for whoever asked, and may have many filters. It is found once for a channel, no
 * matter how many of them match.
 */

const SLASH = 0x2f;
const PLUS = 0x2b;
const AT = 0x40;
const DOLLAR = 0x24;

/** Filters by what they match. */
export class FilterIndex<T> {
  readonly #root = new PathNode<T>('', 0, -1);
  readonly #entries = new Map<T, Entry<T>>();
  #size = 0;
  #nodeCount = 0;
  #version = 0;
  /** The number of this search, which tells the values it has found already. */
  #search = 0;

  /** Pairs of a filter and a value. */
  get size(): number {
    return this.#size;
  }

  /** Values that have a filter. */
  get valueCount(): number {
    return this.#entries.size;
  }

  /** Nodes of the tree, at most two for each filter. */
  get nodeCount(): number {
    return this.#nodeCount;
  }

  /** Another number whenever an answer of `match` may be another one; callers remember by it. */
  get version(): number {
    return this.#version;
  }

  /**
   * Lets `filter` find `value`; once more changes nothing.
   *
   * @param filter a valid channel name or pattern, see `patternFault`.
   */
  add(filter: string, value: T): void {
    const node = this.#reach(filter);
    const entry = this.#entries.get(value) ?? { value, filterCount: 0, foundIn: 0 };
    const place = placeOf(filter);
    if (holds(node[place], entry)) return;
    node[place] = withEntry(node[place], entry);
    entry.filterCount += 1;
    this.#entries.set(value, entry);
    this.#size += 1;
    this.#version += 1;
  }

  /** Takes back what `add` did with the same arguments; what was never added is no error. */
  remove(filter: string, value: T): void {
    const entry = this.#entries.get(value);
    const path = this.#find(filter);
    if (entry === undefined || path === undefined) return;
    const { node, parent } = path;
    const place = placeOf(filter);
    if (!holds(node[place], entry)) return;
    node[place] = withoutEntry(node[place], entry);
    entry.filterCount -= 1;
    if (entry.filterCount === 0) this.#entries.delete(value);
    this.#size -= 1;
    this.#version += 1;
    this.#prune(node, parent);
  }

  /**
   * Appends to `into` every value that has a filter which matches the channel, each once, in no
   * particular order, and returns `into`. Nothing is allocated but a string for each segment that
   * has to be looked up, and what `into` needs.
   */
  match(name: string, into: T[] = []): T[] {
    this.#search += 1;
    const { rest, plus, named } = this.#root;
    const first = name.charCodeAt(0);
    // A leading wildcard never matches a first segment that begins with @ or $.
    if (first !== AT && first !== DOLLAR) {
      if (rest !== undefined) this.#take(rest, into);
      if (plus !== undefined) this.#visit(plus, name, 0, into);
    }
    if (named !== undefined) this.#visitNamed(named, name, 0, into);
    return into;
  }

  /** True when some filter matches the channel: the search ends at the first. */
  matchesAny(name: string): boolean {
    const { rest, plus, named } = this.#root;
    const first = name.charCodeAt(0);
    if (first !== AT && first !== DOLLAR) {
      if (rest !== undefined) return true;
      if (plus !== undefined && this.#finds(plus, name, 0)) return true;
    }
    return named !== undefined && this.#findsNamed(named, name, 0);
  }

  /** As `#visit`. */
  #finds(node: PathNode<T>, name: string, at: number): boolean {
    const end = node.follow(name, at);
    if (end < 0) return false;
    const { rest, own, plus, named } = node;
    if (rest !== undefined) return true;
    if (end === name.length) return own !== undefined;
    if (plus !== undefined && this.#finds(plus, name, end + 1)) return true;
    return named !== undefined && this.#findsNamed(named, name, end + 1);
  }

  /** As `#visitNamed`. */
  #findsNamed(named: Named<T>, name: string, at: number): boolean {
    if (named instanceof PathNode) return this.#finds(named, name, at);
    const child = named.get(name.slice(at, endOfSegment(name, at)));
    return child !== undefined && this.#finds(child, name, at);
  }

  /** Visits a node whose run is compared with the name from `at` on. */
  #visit(node: PathNode<T>, name: string, at: number, into: T[]): void {
    const end = node.follow(name, at);
    if (end < 0) return;
    // The rest of a parent is matched by the parent too.
    if (node.rest !== undefined) this.#take(node.rest, into);
    if (end === name.length) {
      if (node.own !== undefined) this.#take(node.own, into);
      return;
    }
    if (node.plus !== undefined) this.#visit(node.plus, name, end + 1, into);
    if (node.named !== undefined) this.#visitNamed(node.named, name, end + 1, into);
  }

  #visitNamed(named: Named<T>, name: string, at: number, into: T[]): void {
    if (named instanceof PathNode) {
      this.#visit(named, name, at, into);
      return;
    }
    const child = named.get(name.slice(at, endOfSegment(name, at)));
    if (child !== undefined) this.#visit(child, name, at, into);
  }

  #take(found: Entries<T>, into: T[]): void {
    if (found instanceof Set) {
      for (const entry of found) this.#takeOne(entry, into);
    } else {
      this.#takeOne(found, into);
    }
  }

  #takeOne(entry: Entry<T>, into: T[]): void {
    if (entry.foundIn === this.#search) return;
    entry.foundIn = this.#search;
    into.push(entry.value);
  }

  /** The node where a filter's path ends, made if need be. */
  #reach(filter: string): PathNode<T> {
    const pathEnd = endOfPath(filter);
    let node = this.#root;
    while (node.end !== pathEnd) {
      let child = node.child(filter, pathEnd);
      if (child === undefined) {
        child = new PathNode(filter, node.end + 1, pathEnd);
        node.attach(child);
        this.#nodeCount += 1;
      }
      const shared = child.sharedEnd(filter, pathEnd);
      if (shared !== child.end) {
        child.split(shared);
        this.#nodeCount += 1;
      }
      node = child;
    }
    return node;
  }

  #find(filter: string): { node: PathNode<T>; parent: PathNode<T> } | undefined {
    const pathEnd = endOfPath(filter);
    let parent = this.#root;
    let node = this.#root;
    while (node.end !== pathEnd) {
      const child = node.child(filter, pathEnd);
      if (child === undefined || child.sharedEnd(filter, pathEnd) !== child.end) return undefined;
      parent = node;
      node = child;
    }
    return { node, parent };
  }

  /** Removes a node that has become useless, or joins it with the only one below it. */
  #prune(node: PathNode<T>, parent: PathNode<T>): void {
    if (node === this.#root || node.hasValues) return;
    let useless = node;
    if (node.plus === undefined && node.named === undefined) {
      parent.detach(node);
      this.#nodeCount -= 1;
      if (parent === this.#root || parent.hasValues) return;
      useless = parent;
    }
    const child = useless.onlyChild;
    if (child === undefined) return;
    useless.absorb(child);
    this.#nodeCount -= 1;
  }
}

/** A value, and what the index has to know of it. */
interface Entry<T> {
  readonly value: T;
  filterCount: number;
  /** The last search that found it. */
  foundIn: number;
}

/** Mostly one: a set costs more than all the rest of a filter. */
type Entries<T> = Entry<T> | Set<Entry<T>>;

/** Mostly one as well. */
type Named<T> = PathNode<T> | Map<string, PathNode<T>>;

/**
 * A run of segments and what hangs below it. All filters below spell the path from the root the
 * same way, so the run is a piece of any of them: `text` from `start` to `end`.
 */
class PathNode<T> {
  text: string;
  readonly start: number;
  end: number;
  /** Values of the filters that end here. */
  own: Entries<T> | undefined = undefined;
  /** Values of the filters that go on with a last `#`. */
  rest: Entries<T> | undefined = undefined;
  /** What goes on with `+`. */
  plus: PathNode<T> | undefined = undefined;
  /** What goes on with a name; by that name when there are several. */
  named: Named<T> | undefined = undefined;

  constructor(text: string, start: number, end: number) {
    this.text = text;
    this.start = start;
    this.end = end;
  }

  get hasValues(): boolean {
    return this.own !== undefined || this.rest !== undefined;
  }

  /** The first segment of the run. */
  get segment(): string {
    return this.text.slice(this.start, endOfSegment(this.text, this.start, this.end));
  }

  /** The child that has no siblings. */
  get onlyChild(): PathNode<T> | undefined {
    if (this.named === undefined) return this.plus;
    return this.plus === undefined && this.named instanceof PathNode ? this.named : undefined;
  }

  /**
   * Compares the run with the name from `at` on, where a segment begins. Returns where the last of
   * the segments ends that match, or -1 when they do not.
   */
  follow(name: string, at: number): number {
    const { text, end } = this;
    for (let index = this.start; ; index += 1, at += 1) {
      if (text.charCodeAt(index) === PLUS) {
        index += 1;
        at = endOfSegment(name, at);
      }
      for (; index < end; index += 1, at += 1) {
        const unit = text.charCodeAt(index);
        if (unit === SLASH) break;
        if (unit !== name.charCodeAt(at)) return -1;
      }
      const isNameEnd = at === name.length;
      if (!isNameEnd && name.charCodeAt(at) !== SLASH) return -1;
      if (index === end) return at;
      if (isNameEnd) return -1;
    }
  }

  /** The child whose run begins as the path of `filter` goes on after this node. */
  child(filter: string, pathEnd: number): PathNode<T> | undefined {
    const start = this.end + 1;
    if (filter.charCodeAt(start) === PLUS) return this.plus;
    const { named } = this;
    if (named === undefined) return undefined;
    const segment = filter.slice(start, endOfSegment(filter, start, pathEnd));
    if (named instanceof Map) return named.get(segment);
    return named.segment === segment ? named : undefined;
  }

  /** Hangs a node below that has no sibling with the same first segment. */
  attach(child: PathNode<T>): void {
    if (child.text.charCodeAt(child.start) === PLUS) {
      this.plus = child;
    } else if (this.named === undefined) {
      this.named = child;
    } else if (this.named instanceof Map) {
      this.named.set(child.segment, child);
    } else {
      this.named = new Map([
        [this.named.segment, this.named],
        [child.segment, child],
      ]);
    }
  }

  detach(child: PathNode<T>): void {
    if (this.plus === child) {
      this.plus = undefined;
    } else if (this.named instanceof Map) {
      this.named.delete(child.segment);
      if (this.named.size === 1) [this.named] = this.named.values();
    } else {
      this.named = undefined;
    }
  }

  /** Up to where the run and the path of a filter are the same, in whole segments. */
  sharedEnd(filter: string, pathEnd: number): number {
    const { text, end } = this;
    let shared = this.start - 1;
    for (let index = this.start; ; index += 1) {
      const isRunEnd = index === end || text.charCodeAt(index) === SLASH;
      const isPathEnd = index === pathEnd || filter.charCodeAt(index) === SLASH;
      if (isRunEnd && isPathEnd) shared = index;
      if (index === end || index === pathEnd) return shared;
      if (text.charCodeAt(index) !== filter.charCodeAt(index)) return shared;
    }
  }

  /** Ends the run at `at`; what came after it and hung below it goes to a node of its own. */
  split(at: number): void {
    const lower = new PathNode<T>(this.text, at + 1, this.end);
    lower.#takeOver(this);
    this.end = at;
    this.own = undefined;
    this.rest = undefined;
    this.plus = undefined;
    this.named = undefined;
    this.attach(lower);
  }

  /** The opposite of `split`: this node stands for its only child from now on. */
  absorb(child: PathNode<T>): void {
    this.text = child.text;
    this.end = child.end;
    this.#takeOver(child);
  }

  #takeOver(other: PathNode<T>): void {
    this.own = other.own;
    this.rest = other.rest;
    this.plus = other.plus;
    this.named = other.named;
  }
}

function holds<T>(entries: Entries<T> | undefined, entry: Entry<T>): boolean {
  return entries instanceof Set ? entries.has(entry) : entries === entry;
}

function withEntry<T>(entries: Entries<T> | undefined, entry: Entry<T>): Entries<T> {
  if (entries === undefined) return entry;
  return entries instanceof Set ? entries.add(entry) : new Set([entries, entry]);
}

function withoutEntry<T>(entries: Entries<T> | undefined, entry: Entry<T>): Entries<T> | undefined {
  if (!(entries instanceof Set)) return undefined;
  entries.delete(entry);
  if (entries.size > 1) return entries;
  const [only] = entries;
  return only;
}

/** Where the values of a filter stand in the node where its path ends. */
function placeOf(filter: string): 'own' | 'rest' {
  return filter.endsWith('#') ? 'rest' : 'own';
}

/** Where the path of a filter ends: before its last `#`, or -1 when that is all it has. */
function endOfPath(filter: string): number {
  return filter.endsWith('#') ? filter.length - 2 : filter.length;
}

/** The next slash at or after `at`, or the end. Segments are short: a loop beats `indexOf`. */
function endOfSegment(text: string, at: number, end: number = text.length): number {
  let index = at;
  while (index < end && text.charCodeAt(index) !== SLASH) index += 1;
  return index;
}
