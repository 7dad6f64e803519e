/**
 * Layers: who may import whom. Fails when a file imports what its own layer or package may not
 * know, when a folder has no rule, and when files of the server import each other in a circle.
 *
 * 1. A transport never knows what a channel is. A protocol never knows what carries it. A backplane
 *    never knows who subscribes.
 * 2. Interfaces live with the consumer (`link/`, `hub/`, `broker/`); implementations point inward.
 * 3. Only `server.ts`, and `devices.ts` for it, says `new` to something from another layer.
 */
import { isBuiltin } from 'node:module';
import {
  readManifests,
  readSources,
  referencesOf,
  report,
  resolvePath,
  ROOT,
  type Manifest,
  type Reference,
  type SourceFile,
} from './source.ts';

const SERVER = 'packages/server/src/';

/** What every layer may import beside itself, `@trunkline/wire` and the packages it depends on. */
const EVERYONE = ['clock.ts', 'random.ts', 'token-bucket.ts', 'version.ts', 'wheel.ts'];

/**
 * The architecture of the server, as data: the layers, or single files of them, that each layer may
 * import. `*` knows every layer.
 */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  'clock.ts': [],
  'random.ts': [],
  'token-bucket.ts': [],
  'version.ts': [],
  'wheel.ts': [],
  link: [],
  broker: [],
  observe: [],
  http: ['link', 'observe'],
  auth: ['http', 'config'],
  // Where the listener's certificate comes from.
  tls: ['observe', 'config/config-error.ts'],
  transports: ['link', 'http', 'observe'],
  hub: ['broker', 'link', 'auth', 'observe', 'config'],
  // Sessions that outlive their connection are small durable records.
  protocols: ['hub', 'link', 'auth', 'observe', 'broker/state.ts'],
  backplanes: ['broker', 'observe'],
  api: ['hub', 'http', 'auth', 'observe', 'config'],
  console: ['hub', 'http', 'auth', 'observe', 'config'],
  feed: ['hub', 'observe'],
  // Between a transport that asks and a protocol that will speak: who may open a link.
  admission: [
    ...['auth', 'http', 'link', 'transports', 'protocols', 'hub', 'observe', 'config', 'tls'],
    // The query of an event stream is read as that of a poll is.
    ...['api/query.ts', 'api/starts.ts'],
  ],
  'drain.ts': ['link'],
  // It asks all parts for their numbers, and none of them knows it.
  'readings.ts': ['auth', 'http', 'hub', 'transports', 'observe'],
  // What may be granted: the words for it, not how it is proved.
  config: ['auth/identity.ts'],
  // What the parts are told, in the words of each part's own configuration.
  'part-configs.ts': ['auth', 'config', 'http', 'protocols', 'transports'],
  // The composition root, and the part of it that is about MQTT.
  'server.ts': ['*'],
  'devices.ts': ['*'],
  'index.ts': ['*'],
  // For clients of MQTT.
  'mqtt-codec.ts': ['protocols'],
};

/** Files that load what the user names; everything else is known before the program runs. */
const LOADERS = ['packages/server/src/config/load.ts'];

/** Only `config/` composes the `config.ts` of each layer, and all may build theirs from its fields. */
const CONFIG_FILE = /^(?:.+\/)?config\.ts$/;
const CONFIG_FIELDS = ['config/field.ts'];

/** What the source of each package may import of the others. A path ends with `/*`. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  client: ['@trunkline/wire'],
  react: ['@trunkline/client', '@trunkline/client/*'],
  server: ['@trunkline/wire'],
  cli: [
    '@trunkline/client',
    '@trunkline/client/*',
    '@trunkline/server',
    '@trunkline/server/mqtt-codec',
    '@trunkline/console',
    '@trunkline/wire',
  ],
  testkit: [
    '@trunkline/server',
    '@trunkline/server/internal/*',
    '@trunkline/client',
    '@trunkline/wire',
  ],
  lab: [
    '@trunkline/server',
    '@trunkline/client',
    '@trunkline/client/*',
    '@trunkline/wire',
    '@trunkline/testkit',
    '@trunkline/testkit/contracts/*',
    '@trunkline/console',
  ],
  console: ['@trunkline/wire'],
};

/** Packages whose code runs in browsers, and their files that run in Node all the same. */
const BROWSER: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  client: [],
  react: [],
  console: ['packages/console/src/assets.ts'],
};

/** Every violation in the tree at `root`, one line each. */
export function checkLayers(root: string): string[] {
  const files = readSources(root, 'packages/*/src/**/*.{ts,tsx}');
  const manifests = readManifests(root);
  const server = files.filter(({ path }) => path.startsWith(SERVER));
  return [
    ...unruled(files),
    ...files.flatMap((file) => packageFaults(file, manifests)),
    ...server.flatMap(layerFaults),
    ...circles(server),
  ];
}

function unruled(files: readonly SourceFile[]): string[] {
  const faults = new Set<string>();
  for (const { path } of files) {
    const folder = path.split('/')[1] ?? '';
    if (PACKAGES[folder] === undefined) faults.add(`packages/${folder} has no rule in layers.ts`);
    if (!path.startsWith(SERVER)) continue;
    const layer = layerOf(path);
    if (LAYERS[layer] === undefined) faults.add(`${SERVER}${layer} has no rule in layers.ts`);
  }
  return [...faults];
}

function layerFaults(file: SourceFile): string[] {
  const layer = layerOf(file.path);
  const allowed = LAYERS[layer] ?? ['*'];
  if (allowed.includes('*')) return [];
  return referencesOf(file).flatMap((reference) => {
    if (!reference.specifier.startsWith('.')) return [];
    const target = resolvePath(file, reference.specifier);
    const other = layerOf(target);
    const inner = target.slice(SERVER.length);
    if (
      other === layer ||
      [...EVERYONE, ...allowed].some((one) => one === other || one === inner)
    ) {
      return [];
    }
    if (layer === 'config' && CONFIG_FILE.test(inner)) return [];
    if (CONFIG_FILE.test(file.path) && CONFIG_FIELDS.includes(inner)) return [];
    return [fault(file, reference, `${layer} may not import ${other}`)];
  });
}

function packageFaults(file: SourceFile, manifests: ReadonlyMap<string, Manifest>): string[] {
  const folder = file.path.split('/')[1] ?? '';
  const manifest = manifests.get(folder);
  const browser = BROWSER[folder] !== undefined && !BROWSER[folder].includes(file.path);
  return referencesOf(file).flatMap((reference) => {
    const { specifier } = reference;
    if (specifier === '') {
      if (LOADERS.includes(file.path)) return [];
      return [fault(file, reference, 'import(…) takes a literal')];
    }
    if (specifier.startsWith('.')) {
      const inside = resolvePath(file, specifier).startsWith(`packages/${folder}/`);
      return inside ? [] : [fault(file, reference, 'reaches into another package by path')];
    }
    if (isBuiltin(specifier)) {
      if (browser) return [fault(file, reference, `${specifier} is not in browsers`)];
      if (specifier.startsWith('node:')) return [];
      return [fault(file, reference, `write node:${specifier}`)];
    }
    if (specifier.startsWith('@trunkline/')) {
      if (isAllowed(PACKAGES[folder] ?? [], specifier)) return [];
      return [fault(file, reference, `packages/${folder} may not import ${specifier}`)];
    }
    const name = packageName(specifier);
    // The console page is bundled: what it uses is a development dependency.
    const declared = folder === 'console' ? manifest?.devDependencies : manifest?.dependencies;
    // What the application brings is declared as well.
    if ((declared?.[name] ?? manifest?.peerDependencies?.[name]) !== undefined) return [];
    return [fault(file, reference, `${name} is no dependency of packages/${folder}`)];
  });
}

function isAllowed(allowed: readonly string[], specifier: string): boolean {
  return allowed.some((one) =>
    one.endsWith('/*') ? specifier.startsWith(one.slice(0, -1)) : one === specifier,
  );
}

/**
 * Circles of imports, each found once: a depth-first walk that meets its own path again. Types have
 * no order in which they come to be, so two files may know each other by type.
 */
function circles(files: readonly SourceFile[]): string[] {
  const targets = new Map(files.map((file) => [file.path, importsOf(file)]));
  const faults: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const seenAt = trail.indexOf(path);
    if (seenAt >= 0) {
      const circle = [...trail.slice(seenAt), path].map((one) => one.slice(SERVER.length));
      faults.push(`${SERVER}: imports in a circle: ${circle.join(' → ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return faults;
}

function importsOf(file: SourceFile): string[] {
  return referencesOf(file)
    .filter(({ kind, specifier }) => kind === 'value' && specifier.startsWith('.'))
    .map(({ specifier }) => resolvePath(file, specifier));
}

function layerOf(path: string): string {
  return path.startsWith(SERVER) ? (path.slice(SERVER.length).split('/')[0] ?? '') : path;
}

function packageName(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

function fault(file: SourceFile, { line, specifier }: Reference, what: string): string {
  return `${file.path}:${line}: ${what}${specifier.startsWith('.') ? ` (${specifier})` : ''}`;
}

if (import.meta.main) report('layers', checkLayers(ROOT));
