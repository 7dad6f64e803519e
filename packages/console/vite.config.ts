/** Builds the console page into `dist`: files only, nothing inline, so that a strict CSP holds. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // A data URL would need its own permission in the policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
