// Unpacks the browser, its fonts and the libraries that a machine may lack into TMPDIR.
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "package.json"));
const { default: chromium, inflate } = require("@sparticuz/chromium");
await chromium.executablePath();
await inflate(require.resolve("@sparticuz/chromium").replace(/build.*/, "bin/al2023.tar.br"));
