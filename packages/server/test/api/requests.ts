/** Requests without a network: what a listener would have made of one. */
import type {
  HttpAnswer,
  HttpRequest,
  RequestHead,
} from '@trunkline/server/internal/http/request.ts';
import { CodedError } from '@trunkline/wire';

/** What a test says of a request; the rest is a plain GET from this machine. */
export interface RequestSketch {
  readonly method?: string;
  /** Path and query. */
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly remoteAddress?: string;
  readonly version?: RequestHead['version'];
  readonly body?: string | Uint8Array;
}

/** A request whose peer can go away. */
export interface TestRequest extends HttpRequest {
  abort(): void;
}

/** Makes the head of a request. */
export function headOf(sketch: RequestSketch = {}): RequestHead {
  const [path = '/', search = ''] = split(sketch.url ?? '/');
  return {
    method: sketch.method ?? 'GET',
    path,
    search,
    headers: { host: 'localhost:8080', ...sketch.headers },
    remoteAddress: sketch.remoteAddress ?? '127.0.0.1',
    secure: false,
    version: sketch.version ?? '1.1',
  };
}

/** Makes a whole request. */
export function requestOf(sketch: RequestSketch = {}): TestRequest {
  const bytes = typeof sketch.body === 'string' ? Buffer.from(sketch.body) : sketch.body;
  const tasks: (() => void)[] = [];
  return {
    ...headOf(sketch),
    async body(sizeMax) {
      const body = bytes ?? new Uint8Array(0);
      if (body.length > sizeMax) throw new CodedError('too_large', `at most ${sizeMax} bytes`);
      return body;
    },
    onAbort: (task) => void tasks.push(task),
    abort() {
      for (const task of tasks.splice(0)) task();
    },
  };
}

/** The text of an answer's body. */
export function textOf(answer: HttpAnswer): string {
  const { body = '' } = answer;
  return typeof body === 'string' ? body : Buffer.from(body).toString();
}

/** The JSON of an answer's body; fails the test when it is none. */
export function jsonOf(answer: HttpAnswer): unknown {
  return JSON.parse(textOf(answer));
}

function split(url: string): [string, string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}
