/** @trunkline/react: channels, who is in them, and the connection, as hooks. */
'use client';

export { LineProvider, useLine } from './line-provider.ts';
export type { LineProviderProps } from './line-provider.ts';
export { useChannel } from './use-channel.ts';
export type { ChannelState, UseChannelOptions } from './use-channel.ts';
export { useConnection } from './use-connection.ts';
export { usePresence } from './use-presence.ts';
