/** Panel: draws how a line stands. What it shows is decided by the monitor. */
import {
  formatCount,
  formatMs,
  formatPlace,
  formatRate,
  formatTime,
  formatWord,
} from './format.ts';
import type { ChannelView, Happening, LineView } from './monitor.ts';
import { STYLES } from './styles.ts';

/** Happenings that are drawn. */
const HAPPENINGS_SHOWN = 30;
const SVG = 'http://www.w3.org/2000/svg';
const SPARK_WIDTH = 90;
const SPARK_HEIGHT = 20;

const TONES: Readonly<Record<Happening['kind'], string>> = {
  connected: 'good',
  lost: 'warn',
  ended: 'bad',
  gap: 'bad',
  error: 'bad',
  token: 'soft',
};

type Child = Node | string;

/** An element of these children. */
function element(tag: string, className: string, ...children: readonly Child[]): HTMLElement {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  made.append(...children);
  return made;
}

function drawing(className: string, size: string, paths: readonly [string, string][]): SVGElement {
  const made = document.createElementNS(SVG, 'svg');
  made.setAttribute('class', className);
  made.setAttribute('viewBox', size);
  // What it shows is told in words beside it.
  made.setAttribute('aria-hidden', 'true');
  for (const [name, d] of paths) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', name);
    path.setAttribute('d', d);
    made.append(path);
  }
  return made;
}

/** A box in a corner of the page that opens and closes. */
export class Panel {
  readonly #host: HTMLElement;
  readonly #section: HTMLElement;
  readonly #button: HTMLElement;
  readonly #body: HTMLElement;
  /** Tells changes to those who do not see them; in the button nobody would hear them. */
  readonly #status: HTMLElement;
  readonly #onToggle: () => void;
  /** What is drawn, so that nothing is drawn twice: selections and scrolling stay. */
  #drawn = new Map<HTMLElement, string>();

  /** @param onToggle is called when it was opened or closed. */
  constructor(parent: Node, onToggle: () => void) {
    this.#onToggle = onToggle;
    this.#host = document.createElement('trunkline-devtools');
    const root = this.#host.attachShadow({ mode: 'open' });
    // Unlike a style element it needs no permission of a content security policy.
    const styles = new CSSStyleSheet();
    styles.replaceSync(STYLES);
    root.adoptedStyleSheets = [styles];
    this.#button = element('button', '');
    this.#button.setAttribute('aria-controls', 'body');
    this.#body = element('div', 'body');
    this.#body.id = 'body';
    // What scrolls must be reached by the keyboard.
    this.#body.tabIndex = 0;
    this.#status = element('p', 'heard');
    this.#status.setAttribute('role', 'status');
    this.#section = element('section', '', this.#status, this.#button, this.#body);
    this.#section.setAttribute('aria-label', 'Trunkline');
    this.#button.addEventListener('click', () => this.toggle(!this.isOpen));
    this.#section.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.isOpen) return;
      this.toggle(false);
      this.#button.focus();
    });
    root.append(this.#section);
    parent.appendChild(this.#host);
    this.#mark();
  }

  get isOpen(): boolean {
    return this.#section.classList.contains('open');
  }

  toggle(isOpen: boolean): void {
    this.#section.classList.toggle('open', isOpen);
    this.#mark();
    this.#onToggle();
  }

  draw(view: LineView): void {
    this.#section.dataset['state'] = view.state;
    this.#put(this.#status, [`Trunkline: ${standing(view)}`]);
    this.#put(this.#button, header(view));
    if (!this.isOpen) return;
    if (this.#body.childElementCount === 0) {
      const parts = ['facts', 'transports', 'channels', 'happenings'];
      this.#body.append(...parts.map((name) => element('div', name)));
    }
    const [about, transports, channels, happenings] = [...this.#body.children] as HTMLElement[];
    this.#put(about, facts(view));
    this.#put(transports, transportList(view));
    this.#put(channels, channelList(view));
    this.#put(happenings, happeningList(view));
  }

  remove(): void {
    this.#host.remove();
  }

  #mark(): void {
    this.#button.setAttribute('aria-expanded', String(this.isOpen));
  }

  #put(owner: HTMLElement | undefined, children: readonly Child[]): void {
    if (owner === undefined) return;
    const made = element('div', '', ...children);
    const text = made.innerHTML;
    if (this.#drawn.get(owner) === text) return;
    this.#drawn.set(owner, text);
    owner.replaceChildren(...made.childNodes);
  }
}

function standing({ state, transport }: LineView): string {
  return transport === undefined ? state : `${state} over ${transport}`;
}

function header(view: LineView): Child[] {
  const total = view.channels.reduce((sum, { perSecond }) => sum + perSecond, 0);
  return [
    element('span', 'dot'),
    element('span', 'name', 'Trunkline'),
    element('span', '', standing(view)),
    element('span', 'total', formatRate(total)),
    drawing('chevron', '0 0 10 10', [['', 'M1 7l4-4 4 4']]),
  ];
}

function facts(view: LineView): Child[] {
  const { session, user, forMs, reconnectCount, tokenCount, waiting, skewMs } = view;
  const told = [
    session === undefined ? undefined : `session ${formatWord(session)}`,
    user === undefined ? undefined : `user ${user}`,
    forMs === undefined ? undefined : `for ${formatMs(forMs)}`,
    formatCount(reconnectCount, 'reconnect'),
    tokenCount === 0 ? undefined : formatCount(tokenCount, 'token renewal'),
    `${waiting} waiting to be published`,
  ];
  const lines = [element('p', '', told.filter((one) => one !== undefined).join(' · '))];
  if (session !== undefined && lines[0] !== undefined) lines[0].title = `session ${session}`;
  if (skewMs !== undefined) {
    const way = skewMs < 0 ? 'behind' : 'ahead of';
    const by = formatMs(Math.abs(skewMs));
    const text = `This machine's clock seems to be ${by} ${way} the server's: lags are above that.`;
    lines.push(element('p', 'warn', text));
  }
  return lines;
}

function transportList({ tried }: LineView): Child[] {
  const items = tried.map(({ name, verdict, reason, agoMs, againInMs }) => {
    const tone = verdict === 'in use' ? 'good' : verdict === 'not tried' ? 'soft' : 'bad';
    const ago = agoMs === undefined ? '' : `, ${formatMs(agoMs)} ago`;
    const again =
      againInMs === undefined || againInMs === 0 ? '' : `; again in ${formatMs(againInMs)}`;
    const why = verdict === 'in use' ? '' : `: ${reason}${ago}${again}`;
    const told = element('span', '', element('span', tone, verdict), element('span', 'soft', why));
    return element('li', '', element('span', '', name), told);
  });
  return [element('h2', '', 'Transports'), element('ul', '', ...items)];
}

function channelList({ channels }: LineView): Child[] {
  const title = element('h2', '', `Channels (${channels.length})`);
  if (channels.length === 0) return [title, element('p', 'none', 'Nothing is read.')];
  return [title, element('ul', '', ...channels.map(channelItem))];
}

function channelItem(channel: ChannelView): HTMLElement {
  const { name, state, readers, after, count, perSecond, seconds, lagMs, gapCount } = channel;
  const place = element('code', '', after === undefined ? 'no place yet' : formatPlace(after));
  if (after !== undefined) place.title = after;
  const tone = state === 'live' ? 'good' : 'warn';
  return element(
    'li',
    '',
    element('span', 'strong', name),
    spark(seconds),
    element('span', 'number', formatRate(perSecond)),
    element(
      'div',
      'more soft',
      element('span', tone, state),
      place,
      element('span', '', formatCount(count, 'message')),
      element('span', '', lagMs === undefined ? 'lag unknown' : `lag ${formatMs(lagMs)}`),
      element('span', gapCount > 0 ? 'bad' : '', formatCount(gapCount, 'gap')),
      element('span', '', formatCount(readers, 'reader')),
    ),
  );
}

/** The last seconds as a line, as high as its highest. */
function spark(seconds: readonly number[]): SVGElement {
  const top = Math.max(1, ...seconds);
  const points = seconds.map((count, index) => {
    const x = (index / Math.max(1, seconds.length - 1)) * SPARK_WIDTH;
    const y = SPARK_HEIGHT - 1 - (count / top) * (SPARK_HEIGHT - 3);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = `M${points.join('L')}`;
  const area = `${line}L${SPARK_WIDTH} ${SPARK_HEIGHT}L0 ${SPARK_HEIGHT}Z`;
  return drawing('spark', `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`, [
    ['area', area],
    ['', line],
  ]);
}

function happeningList({ happenings }: LineView): Child[] {
  const title = element('h2', '', 'What happened');
  if (happenings.length === 0) return [title, element('p', 'none', 'Nothing yet.')];
  const items = happenings.slice(0, HAPPENINGS_SHOWN).map(({ atMs, kind, text, count }) => {
    const time = element('span', 'soft', formatTime(atMs));
    const times = count === 1 ? '' : ` (${count} times)`;
    return element('li', '', time, element('span', TONES[kind], `${text}${times}`));
  });
  return [title, element('ul', '', ...items)];
}
