/** @trunkline/server: the server as a library. */
export { ACTIONS } from './auth/identity.ts';
export type { Action } from './auth/identity.ts';
export { resolveAccess } from './config/access.ts';
export type { Access } from './config/access.ts';
export { ConfigError } from './config/config-error.ts';
export type { Setting } from './config/field.ts';
export { readConfigFile, resolveConfig, SERVER_SETTINGS } from './config/load.ts';
export type { ConfigSources, FlagValue, LoadedConfig } from './config/load.ts';
export { configLines, printConfig } from './config/print.ts';
export type { ConfigLine } from './config/print.ts';
export { defaultConfig, defineConfig } from './config/schema.ts';
export type { ServerConfig, ServerConfigInput } from './config/schema.ts';
export { BrokerError } from './broker/broker.ts';
export { createServer, TrunklineServer } from './server.ts';
export type { Asset, ServerParts, Started } from './server.ts';
