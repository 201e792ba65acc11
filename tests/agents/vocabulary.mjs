// Writes the vocabulary of o200k, which js-tiktoken carries, as tiktoken keeps it once it has downloaded it.
// vocabulary.mjs FOLDER CACHE: FOLDER has js-tiktoken in node_modules. tiktoken compares a digest.
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [, , folder, cache] = process.argv;
const { bpe_ranks } = createRequire(`${folder}/`)("js-tiktoken/ranks/o200k_base");
const lines = [];
for (const line of bpe_ranks.split("\n").filter(Boolean)) {
  const [, first, ...tokens] = line.split(" ");
  tokens.forEach((token, place) => lines.push(`${token} ${Number(first) + place}\n`));
}
mkdirSync(cache, { recursive: true });
writeFileSync(`${cache}/fb374d419588a4632f3f557e76b4b70aebbca790`, lines.join(""));
