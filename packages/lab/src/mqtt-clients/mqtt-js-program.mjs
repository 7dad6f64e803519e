/**
 * A client of MQTT with MQTT.js. Its argument says in JSON what to do (`programs.ts`): it publishes
 * and ends, or reads until its input ends and prints what comes, a line of JSON for each message.
 */
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

const { connecting, filters, publications } = JSON.parse(process.argv[2]);
const { url, version, clientId, expirySeconds, user, password, will, ca, cert, key } = connecting;

const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
const read = (file) => (file === undefined ? undefined : readFileSync(file));
const bytes = ({ payload }) => Buffer.from(payload, 'hex');

/** Its user properties are an object; one name may have several values. */
function toProperties({ userProperties, correlationData, ...others } = {}) {
  const properties = { ...others };
  if (correlationData !== undefined) properties.correlationData = Buffer.from(correlationData);
  if (userProperties !== undefined) properties.userProperties = Object.fromEntries(userProperties);
  return properties;
}

function fromProperties({ userProperties, correlationData, ...others } = {}) {
  const properties = {};
  for (const name of ['contentType', 'responseTopic', 'messageExpiryInterval']) {
    if (others[name] !== undefined) properties[name] = others[name];
  }
  if (correlationData !== undefined) properties.correlationData = correlationData.toString();
  if (userProperties !== undefined) properties.userProperties = Object.entries(userProperties);
  return properties;
}

const client = mqtt.connect(url, {
  protocolVersion: version,
  clean: expirySeconds === undefined,
  reconnectPeriod: 0,
  username: user,
  password,
  ca: read(ca),
  cert: read(cert),
  key: read(key),
  ...(clientId === undefined ? {} : { clientId }),
  ...(will === undefined ? {} : { will: { qos: 1, retain: false, ...will, payload: bytes(will) } }),
  ...(version === 5 && expirySeconds !== undefined
    ? { properties: { sessionExpiryInterval: expirySeconds } }
    : {}),
});

client.on('error', (error) => {
  console.error(`${error.message} (${error.code ?? 'no code'})`);
  process.exit(1);
});

client.on('message', (topic, payload, { qos, retain, properties }) => {
  const told = { topic, payload: payload.toString('hex'), qos, retain };
  tell({ message: { ...told, properties: fromProperties(properties) } });
});

client.on('close', () => {
  if (!client.disconnecting) process.exit(1);
});

async function publishAll() {
  for (const { topic, qos = 1, retain = false, properties, ...rest } of publications) {
    const options = version === 5 ? { properties: toProperties(properties) } : {};
    await client.publishAsync(topic, bytes(rest), { qos, retain, ...options });
  }
  await client.endAsync();
}

async function subscribe() {
  for (const [filter, qos] of Object.entries(filters)) await client.subscribeAsync(filter, { qos });
  tell({ subscribed: true });
}

client.on('connect', () => {
  (publications === undefined ? subscribe() : publishAll()).catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
});

if (publications === undefined) {
  process.stdin.resume();
  process.stdin.on('end', () => {
    client.end(() => process.exit(0));
  });
}
