/** Health: `GET /healthz`, the process is alive; `GET /readyz`, it takes clients. */
import { CodedError } from '@trunkline/wire';
import type { HttpAnswer } from '../http/request.ts';
import { jsonAnswer } from './answers.ts';

/** Whether the node takes clients. */
export type Readiness = 'ready' | 'starting' | 'draining';

/** Answers as long as the process turns its event loop. */
export function alive(): HttpAnswer {
  return jsonAnswer('{"status":"ok"}');
}

/**
 * Answers while clients may come.
 *
 * @throws {CodedError} `draining` or `unavailable` else, so that a balancer sends them elsewhere.
 */
export function ready(readiness: Readiness): HttpAnswer {
  if (readiness === 'draining') throw new CodedError('draining', 'this node is going away');
  if (readiness === 'starting') throw new CodedError('unavailable', 'this node is starting');
  return jsonAnswer('{"status":"ready"}');
}
