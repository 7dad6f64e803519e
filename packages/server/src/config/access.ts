/**
 * Access: how open a server is, read from its configuration. Closed by default: anonymous clients
 * only on loopback, unless the operator says otherwise in so many words.
 */
import { ConfigError } from './config-error.ts';
import { DEFAULT_NAMESPACE, OPEN_NAMESPACE } from './namespace-rules.ts';
import type { NamespaceRules } from './namespace-rules.ts';
import type { ServerConfig } from './schema.ts';

/** What the configuration as a whole means for strangers. */
export interface Access {
  /** Only requests with a local Host and Origin, none forwarded, and all of them welcome. */
  readonly development: boolean;
  /** True when clients without a token are let in. */
  readonly anonymous: boolean;
  /** True when somebody can prove who they are: by a token, an API key, a password or a certificate. */
  readonly authenticates: boolean;
  /** What holds for channels that no namespace mentions. */
  readonly defaults: NamespaceRules;
  /** What is weaker than the defaults for the open internet, a sentence each. */
  readonly relaxed: readonly string[];
}

/**
 * Decides how open the server is.
 *
 * @throws {ConfigError} when that would be open to strangers without having been asked for.
 */
export function resolveAccess(config: ServerConfig): Access {
  const { auth } = config;
  const loopback = isLoopback(config.host);
  const authenticates = canAuthenticate(config);
  const development = config.dev ?? (loopback && !authenticates);
  if (!loopback && !auth.insecure) {
    if (!authenticates) {
      throw new ConfigError([
        `host ${config.host} is not loopback and no auth is configured: set --jwt-secret or --api-key, listen on 127.0.0.1, or say --insecure to let anyone in`,
      ]);
    }
    if (development) {
      throw new ConfigError([
        `development mode on host ${config.host}, which is not loopback: leave --dev out, listen on 127.0.0.1, or say --insecure to let anyone in`,
      ]);
    }
  }
  const open = development || (auth.insecure && !authenticates);
  // Where a namespace lets clients without a token do something they have to be let in.
  const rules = Object.values(config.namespaces);
  const isAllowed = rules.some(({ allow }) => (allow?.anonymous ?? []).length > 0);
  return {
    development,
    anonymous: open || isAllowed,
    authenticates,
    defaults: open ? OPEN_NAMESPACE : DEFAULT_NAMESPACE,
    relaxed: relaxations(development, open),
  };
}

function canAuthenticate({ auth, tls }: ServerConfig): boolean {
  if (auth.jwtSecret !== undefined || auth.apiKeys.length > 0) return true;
  return Object.keys(auth.users).length > 0 || tls.clientCertificate !== 'none';
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  if (name === 'localhost' || name === '::1') return true;
  return /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/.test(name);
}

function relaxations(development: boolean, anonymous: boolean): string[] {
  const relaxed: string[] = [];
  if (anonymous) relaxed.push('clients without a token may do everything');
  if (development) {
    relaxed.push(
      'anyone on this machine may mint tokens at /v1/token',
      '/v1/echo echoes',
      'rate limits do not hold',
    );
  }
  return relaxed;
}
