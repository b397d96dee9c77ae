// Bundles the page into built; `python -m app.gateway.page.build` calls it.
import { copyFile, mkdir, rm } from "node:fs/promises";
import { build } from "esbuild";

const target = process.env.PAGE_OUT ?? "built";
await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
await build({
  entryPoints: ["src/app.tsx", "src/app.css", "src/operator.tsx", "src/operator.css"],
  outdir: target,
  bundle: true,
  minify: true,
  sourcemap: false,
  target: "es2022",
  format: "esm",
  // What is imported on demand (the chart's library) is loaded when it is first shown.
  splitting: true,
  chunkNames: "[name]-[hash]",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "linked",
  logLevel: "info",
});
for (const file of ["index.html", "operator.html", "icon.svg"]) await copyFile(`src/${file}`, `${target}/${file}`);
