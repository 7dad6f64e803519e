/** Test tools: time, chance and networks that a test decides, and a judge of whole runs. */
export { ManualClock } from './manual-clock.ts';
export type { ManualClockOptions } from './manual-clock.ts';
export { seededRandom } from './random.ts';
export type { SeededRandom } from './random.ts';
export { MemoryConnection } from './memory-connection.ts';
export { faulty, MemoryLink } from './memory-link.ts';
export type { Faults, MemoryLinkOptions, MemoryPeer } from './memory-link.ts';
export { checkHistory, formatViolation } from './history-checker.ts';
export type {
  BrokenPromise,
  History,
  HistoryEvent,
  StreamLog,
  StreamState,
  Violation,
} from './history.ts';
export { PLANTS, runSimulation, simulate } from './simulation.ts';
export type {
  Plant,
  SimulationFailure,
  SimulationOptions,
  SimulationResult,
  SimulationSummary,
} from './simulation.ts';
export { runLineSimulation } from './line-simulation.ts';
export type {
  LineSimulationOptions,
  LineSimulationResult,
  LineSimulationSummary,
  Tamper,
} from './line-simulation.ts';
export { MqttPeer, packetText, payloadText } from './mqtt/mqtt-peer.ts';
export type { MqttPeerOptions } from './mqtt/mqtt-peer.ts';
export {
  ackPacket,
  connectPacket,
  payloadBytes,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
} from './mqtt/packet-makers.ts';
export type {
  ConnectOptions,
  FilterOptions,
  PacketOf,
  Payload,
  PublishOptions,
  WillOptions,
} from './mqtt/packet-makers.ts';
