/** `GET /metrics`: what this node counts, for Prometheus. */
import { CodedError } from '@trunkline/wire';
import type { Identity } from '../auth/identity.ts';
import type { HttpAnswer } from '../http/request.ts';

/** Where the numbers come from, and who may see them. */
export interface MetricsSource {
  /** True when no API key is asked for. */
  readonly open: boolean;
  page(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Answers the numbers of this moment. */
export async function metrics(source: MetricsSource, identity?: Identity): Promise<HttpAnswer> {
  if (!source.open && identity?.kind !== 'server') {
    throw new CodedError('forbidden', 'an API key is needed to read metrics, as a bearer token');
  }
  const { contentType, text } = await source.page();
  const headers = {
    'content-type': contentType,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  return { status: 200, headers, body: text };
}
