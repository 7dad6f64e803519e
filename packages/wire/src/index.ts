/** @trunkline/wire: what client and server agree on. No dependencies; runs in browsers. */
export { decodeBase64, encodeBase64 } from './base64.ts';
export type { ChannelMessage, MessageRun } from './binary-message.ts';
export {
  CHANNEL_BYTES_MAX,
  channelNameFault,
  compareSpecificity,
  isWildcard,
  matchesPattern,
  patternFault,
} from './channel.ts';
export { CODE_RULES, CodedError, CODES, isCodeName, reconnectAfterClose } from './codes.ts';
export type { AfterClose, Code, CodeName, CodeRule, ErrorDetails } from './codes.ts';
export {
  BINARY_MEDIA_TYPE,
  BINARY_SUBPROTOCOL,
  decodeBinaryCommands,
  decodeServerRecords,
  encodeBinaryCommand,
  encodeJsonRecord,
  encodePage,
  encodeRuns,
} from './codec-binary.ts';
export type { FrameRun, ServerRecord } from './codec-binary.ts';
export {
  COMMANDS_PER_FRAME_MAX,
  decodeCommands,
  decodeServerFrames,
  JSON_SUBPROTOCOL,
} from './codec-json.ts';
export { decodeCommand } from './commands.ts';
export type { Command, CommandId, Decoded } from './commands.ts';
export { APART_MAX, TEXT_LIMITS } from './fields.ts';
export { elementSources, memberSource } from './json-source.ts';
export {
  ATTRIBUTES_SIZE_MAX,
  contentSize,
  decodeUtf8,
  oneLine,
  payloadBytes,
  payloadKind,
  payloadMembers,
} from './message.ts';
export type { Draft, Message, PayloadKind, Sender } from './message.ts';
export { commonPattern, containsPattern, overlaps } from './pattern.ts';
export {
  formatPosition,
  isMark,
  isOrigin,
  ORIGIN,
  parseAfter,
  parseAfterEach,
  parsePosition,
} from './position.ts';
export type { After, Gap, GapReason, Position } from './position.ts';
export {
  contentTypeFault,
  decodePublishBody,
  eventFault,
  isJsonContentType,
  isJsonText,
  PUBLISH_BATCH_MAX,
  TTL_MAX,
} from './publish.ts';
export type { PublishFields, PublishRequest } from './publish.ts';
export { encodeMessage } from './replies.ts';
export type {
  ErrorFrame,
  HistoryFields,
  Limits,
  Member,
  MemberPage,
  ServerFrame,
  WireMessage,
  WireSnapshot,
} from './replies.ts';
