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

/** Filters by what they match. */
export class FilterIndex<T> {
  readonly #root = new PathNode<T>('', -1, -1);
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
    const root = this.#root;
    const first = name.charCodeAt(0);
    // A leading wildcard never matches a first segment that begins with @ or $.
    if (first !== 0x40 && first !== 0x24) {
      this.#take(root.rest, into);
      if (root.plus !== undefined) this.#visit(root.plus, name, endOfSegment(name, 0), into);
    }
    if (root.named !== undefined) this.#visitNamed(root.named, name, 0, into);
    return into;
  }

  /** Visits a node whose first segment has been matched, up to `at` in the name. */
  #visit(node: PathNode<T>, name: string, at: number, into: T[]): void {
    const end = node.follow(name, at);
    if (end < 0) return;
    // The rest of a parent is matched by the parent too.
    if (node.rest !== undefined) this.#take(node.rest, into);
    if (end === name.length) {
      if (node.own !== undefined) this.#take(node.own, into);
      return;
    }
    if (node.plus !== undefined) {
      this.#visit(node.plus, name, endOfSegment(name, end + 1), into);
    }
    if (node.named !== undefined) this.#visitNamed(node.named, name, end + 1, into);
  }

  #visitNamed(named: ReadonlyMap<string, PathNode<T>>, name: string, at: number, into: T[]): void {
    const end = endOfSegment(name, at);
    const child = named.get(name.slice(at, end));
    if (child !== undefined) this.#visit(child, name, end, into);
  }

  #take(found: Entries<T> | undefined, into: T[]): void {
    if (found === undefined) return;
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
      const segmentEnd = endOfSegment(filter, node.end + 1, pathEnd);
      let child = node.child(filter, segmentEnd);
      if (child === undefined) {
        child = new PathNode(filter, segmentEnd, pathEnd);
        node.attach(child, node.end + 1);
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
      const child = node.child(filter, endOfSegment(filter, node.end + 1, pathEnd));
      if (child === undefined || child.sharedEnd(filter, pathEnd) !== child.end) return undefined;
      parent = node;
      node = child;
    }
    return { node, parent };
  }

  /** Removes a node that has become useless, or joins it with the only one below it. */
  #prune(node: PathNode<T>, parent: PathNode<T>): void {
    if (node === this.#root || node.hasValues) return;
    if (node.childCount === 0) {
      parent.detach(node);
      this.#nodeCount -= 1;
      if (parent === this.#root || parent.hasValues) return;
      node = parent;
    }
    if (node.childCount > 1) return;
    node.absorb();
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

/**
 * A run of segments and what hangs below it. All filters below spell the path from the root the
 * same way, so the run is a piece of any of them: it ends at `end` in `text`, and begins after the
 * end of its parent.
 */
class PathNode<T> {
  text: string;
  /** Where the first segment of the run ends; the parent has matched it. */
  firstEnd: number;
  end: number;
  /** Values of the filters that end here. */
  own: Entries<T> | undefined = undefined;
  /** Values of the filters that go on with a last `#`. */
  rest: Entries<T> | undefined = undefined;
  /** What goes on with `+`. */
  plus: PathNode<T> | undefined = undefined;
  /** What goes on with a name, by that name. */
  named: Map<string, PathNode<T>> | undefined = undefined;

  constructor(text: string, firstEnd: number, end: number) {
    this.text = text;
    this.firstEnd = firstEnd;
    this.end = end;
  }

  get hasValues(): boolean {
    return this.own !== undefined || this.rest !== undefined;
  }

  get childCount(): number {
    return (this.named?.size ?? 0) + (this.plus === undefined ? 0 : 1);
  }

  /**
   * Compares the run, from the second segment on, with a name whose segments are matched up to
   * `at`. Returns up to where they are then, or -1 when it does not match.
   */
  follow(name: string, at: number): number {
    const { text, end } = this;
    let index = this.firstEnd;
    while (index < end) {
      if (at === name.length) return -1;
      // Both stand at a slash.
      index += 1;
      at += 1;
      if (text.charCodeAt(index) === PLUS) {
        index += 1;
        at = endOfSegment(name, at);
        continue;
      }
      for (; index < end; index += 1, at += 1) {
        const unit = text.charCodeAt(index);
        if (unit === SLASH) break;
        if (unit !== name.charCodeAt(at)) return -1;
      }
      if (at < name.length && name.charCodeAt(at) !== SLASH) return -1;
    }
    return at;
  }

  /** The child for the segment of `filter` between this node's end and `segmentEnd`. */
  child(filter: string, segmentEnd: number): PathNode<T> | undefined {
    const start = this.end + 1;
    if (filter.charCodeAt(start) === PLUS) return this.plus;
    return this.named?.get(filter.slice(start, segmentEnd));
  }

  /** Hangs `child` below, whose run begins at `start` in its text. */
  attach(child: PathNode<T>, start: number): void {
    if (child.text.charCodeAt(start) === PLUS) {
      this.plus = child;
      return;
    }
    this.named ??= new Map();
    this.named.set(child.text.slice(start, child.firstEnd), child);
  }

  detach(child: PathNode<T>): void {
    if (this.plus === child) {
      this.plus = undefined;
      return;
    }
    this.named?.delete(child.text.slice(this.end + 1, child.firstEnd));
    if (this.named?.size === 0) this.named = undefined;
  }

  /** Up to where the run and the path of a filter with the same first segment are the same. */
  sharedEnd(filter: string, pathEnd: number): number {
    const { text, end } = this;
    let shared = this.firstEnd;
    for (let index = shared; ; index += 1) {
      const isRunEnd = index === end || text.charCodeAt(index) === SLASH;
      const isPathEnd = index === pathEnd || filter.charCodeAt(index) === SLASH;
      if (isRunEnd && isPathEnd) shared = index;
      if (index === end || index === pathEnd) return shared;
      if (text.charCodeAt(index) !== filter.charCodeAt(index)) return shared;
    }
  }

  /** Ends the run at `at`; what came after it and hung below it goes to a node of its own. */
  split(at: number): void {
    const lower = new PathNode<T>(this.text, endOfSegment(this.text, at + 1, this.end), this.end);
    lower.#takeOver(this);
    this.end = at;
    this.own = undefined;
    this.rest = undefined;
    this.plus = undefined;
    this.named = undefined;
    this.attach(lower, at + 1);
  }

  /** The opposite of `split`: joins the only child, which stands for this node from now on. */
  absorb(): void {
    const child = this.plus ?? this.named?.values().next().value;
    if (child === undefined) return;
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
  const [only] = entries;
  return entries.size === 1 ? only : entries;
}

/** Where the values of a filter stand in the node where its path ends. */
function placeOf(filter: string): 'own' | 'rest' {
  return filter.endsWith('#') ? 'rest' : 'own';
}

/** Where the path of a filter ends: before its last `#`, or -1 when that is all it has. */
function endOfPath(filter: string): number {
  return filter.endsWith('#') ? filter.length - 2 : filter.length;
}

/** The next slash at or after `at`, or the end. */
function endOfSegment(text: string, at: number, end: number = text.length): number {
  const slash = text.indexOf('/', at);
  return slash < 0 || slash > end ? end : slash;
}
