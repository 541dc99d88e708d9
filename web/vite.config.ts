import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const OLDEST = ["chrome111", "edge111", "firefox121", "safari16.4", "ios16.4"]; // as docs/page.md tells
const PAGE = "../src/menura/server/page";
const SERVER = "http://127.0.0.1:8000";

/** Beside each text file of the page its gzip, which the server sends as it is. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "menura-compressed",
    apply: "build",
    configResolved({ root, build }) {
      folder = resolve(root, build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|html|svg)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: "/page/",
  plugins: [react(), compressed()],
  build: {
    outDir: PAGE,
    emptyOutDir: true,
    target: OLDEST,
    assetsInlineLimit: 0, // the page's policy allows no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    license: { fileName: "licenses.md" }, // of what is bundled: their terms want to go along
  },
  worker: { format: "es" },
  server: {
    port: 5173,
    proxy: {
      "/api": SERVER,
      "/ws": { target: SERVER, ws: true },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    setupFiles: ["src/test-setup.ts"],
    testTimeout: 60_000,
  },
});
