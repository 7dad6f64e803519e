/** Every dependency has its line in the page that says why it is there. */
import { readManifests, readText } from '../source.ts';
import type { Manifest } from '../source.ts';

/** Where the reasons stand: a list item that begins with the name in backticks. */
export const REASONS = 'docs/internals/dependencies.md';

/** Dependencies without a reason, and reasons for what is no dependency any more. */
export function dependencyFaults(root: string): string[] {
  const text = readText(root, REASONS) ?? '';
  const listed = new Set([...text.matchAll(/^- `([^`]+)`/gm)].map(([, name]) => name ?? ''));
  const rootManifest = JSON.parse(readText(root, 'package.json') ?? '{}') as Manifest;
  const manifests = [rootManifest, ...readManifests(root).values()];
  const used = new Set(
    manifests
      .flatMap(({ dependencies = {}, devDependencies = {} }) =>
        Object.keys({ ...dependencies, ...devDependencies }),
      )
      .filter((name) => !name.startsWith('@trunkline/')),
  );
  return [
    ...[...used]
      .filter((name) => !listed.has(name))
      .map((name) => `${REASONS}: no line says why ${name} is there`),
    ...[...listed]
      .filter((name) => !used.has(name))
      .map((name) => `${REASONS}: ${name} is no dependency`),
  ];
}
