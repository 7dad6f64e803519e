/** Permissions: who may do what in which channel, asked once for all protocols. */
import { CodedError, isWildcard } from '@trunkline/wire';
import { isGranted, isGrantedWhole } from '../auth/identity.ts';
import type { Action, Identity } from '../auth/identity.ts';
import type { HubConfig } from './config.ts';

/** What people read; tokens and namespaces have the names of the actions. */
const SAID: Readonly<Record<Action, string>> = {
  subscribe: 'subscribe to',
  publish: 'publish to',
  history: 'read the history of',
  presence: 'see who is in',
};

/** Decides by tokens, by private channels, and by namespaces. */
export class Permissions {
  readonly #config: Pick<HubConfig, 'rulesOf' | 'allowsWhole'>;

  constructor(config: Pick<HubConfig, 'rulesOf' | 'allowsWhole'>) {
    this.#config = config;
  }

  /** @throws {CodedError} `forbidden` when neither a token nor the namespace allows it. */
  demand(identity: Identity, action: Action, filter: string): void {
    if (this.permits(identity, action, filter)) return;
    const who = identity.user === undefined ? 'this client' : `user ${identity.user}`;
    const told = `${who} may not ${SAID[action]} ${filter}`;
    const todo = `grant ${action} by the token, or allow it in the namespace`;
    throw new CodedError('forbidden', `${told}: ${todo}`);
  }

  /**
   * True when the identity may do it: by its token, its own channel, or the namespace. With a
   * pattern, in every channel that it matches [AUTH-7].
   */
  permits(identity: Identity, action: Action, filter: string): boolean {
    if (identity.kind === 'server') return true;
    if (isWildcard(filter)) {
      if (isGrantedWhole(identity, action, filter)) return true;
      return this.#config.allowsWhole(identity.kind, action, filter);
    }
    if (filter.startsWith('@')) {
      // A user's own channel is hers to read, whatever a pattern or a token says [CH-2].
      return action !== 'publish' && identity.user !== undefined && filter === `@${identity.user}`;
    }
    if (isGranted(identity, action, filter)) return true;
    return this.#config.rulesOf(filter).allow[identity.kind].includes(action);
  }
}
