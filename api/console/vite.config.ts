import { defineConfig } from "vite";

export default defineConfig({
  // Every page of the console is served from the root, beside /api/v3.
  base: "/",
  build: { target: "es2022", sourcemap: false, assetsInlineLimit: 0, chunkSizeWarningLimit: 400 },
  server: { proxy: { "/api": { target: process.env["PATHFINDER_API"] ?? "http://127.0.0.1:8080" } } },
});
