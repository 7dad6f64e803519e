/** A sensor: tells four times a second over MQTT what it measures, until it is killed. */
import { setTimeout } from 'node:timers/promises';
import { connect } from 'mqtt';

const [url = '', name = '', usual = ''] = process.argv.slice(2);
const topic = `house/${name}`;
const payload = Buffer.from('{"isGone":true}');
const client = connect(url, {
  ...{ protocolVersion: 5, clientId: name, reconnectPeriod: 250 },
  // Who comes back goes on; who has not after two seconds is told to be gone, by the server.
  ...{ clean: false, properties: { sessionExpiryInterval: 60 } },
  will: { topic, payload, qos: 1, retain: false, properties: { willDelayInterval: 2 } },
});
client.on('error', () => {}); // It tries again.
process.once('disconnect', () => process.exit()); // Nobody is left to kill it.
for (let count = 1, value = Number(usual); ; count += 1) {
  value += (Number(usual) - value) / 9 + 2 * (Math.random() - 0.5);
  const reading = JSON.stringify({ run: process.pid, count, value });
  // It is sent until it is acknowledged. The key keeps it from being stored twice.
  const properties = { userProperties: { key: `${name} ${process.pid} ${count}` } };
  client.publish(topic, reading, { qos: 1, properties });
  await setTimeout(250);
}
