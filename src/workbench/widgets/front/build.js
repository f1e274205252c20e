// Builds the browser code of the editor and of the results table: npm install, then npm run build, in this folder.
// The modules are kept beside their source, so that nobody who uses the workbench needs Node. `--to FOLDER` writes elsewhere.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const named = process.argv.indexOf("--to");
const target = named > 0 ? process.argv[named + 1] : join(here, "built");

for (const name of ["editor", "results"]) {
  const { outputFiles, metafile } = await build({
    absWorkingDir: here,
    entryPoints: [`${name}/index.js`],
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    charset: "utf8",
    legalComments: "none",
    loader: { ".css": "text" },
    // HTML inside of Markdown is shown as text: its grammar, and those of CSS and JavaScript in it, are left out.
    alias: { "@codemirror/lang-html": "./editor/no_html.js" },
    metafile: true,
    write: false,
  });
  const licences = notices(metafile);
  const held = licences && ` It holds these packages, under their licences:\n\n${licences}`;
  writeFileSync(join(target, `${name}.js`), `/*! Built by build.js.${held}*/\n${outputFiles[0].text}`);
}

// The licence of every package that is in the module, each text once.
function notices(metafile) {
  const packages = new Set(Object.keys(metafile.inputs).map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]));
  const texts = new Map();
  for (const name of [...packages].filter(Boolean).sort()) {
    const folder = join(here, "node_modules", name);
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const licence = readFileSync(join(folder, "LICENSE"), "utf8").trim();
    texts.set(licence, [...(texts.get(licence) ?? []), `${name} ${version}`]);
  }
  return [...texts].map(([licence, names]) => `${names.join("\n")}\n\n${licence}\n\n`).join("");
}
