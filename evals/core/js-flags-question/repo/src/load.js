import { readFileSync } from 'node:fs';

/**
 * The flags in a file.
 *
 * @param {string} path
 * @returns {Record<string, import('./flags.js').Flag>}
 */
export function load(path) {
  const flags = JSON.parse(readFileSync(path, 'utf8'));
  for (const [name, flag] of Object.entries(flags)) {
    if (!(flag.percent >= 0 && flag.percent <= 100)) throw new Error(`${name}: percent must be from 0 to 100`);
  }
  return flags;
}
