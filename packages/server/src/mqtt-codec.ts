/**
 * @trunkline/server/mqtt-codec: MQTT 3.1.1 and 5.0 as bytes and as values, for both ends of a
 * connection. Pure: no sockets and no clock.
 */
export { PacketDecoder } from './protocols/mqtt/codec/decoder.ts';
export { encode, packetSize } from './protocols/mqtt/codec/encode.ts';
export { MqttError } from './protocols/mqtt/codec/faults.ts';
export type { Connack, Packet, Publish } from './protocols/mqtt/codec/packets.ts';
export type { PropertiesOf, UserProperty } from './protocols/mqtt/codec/property-table.ts';
export { REASONS } from './protocols/mqtt/codec/reasons.ts';
