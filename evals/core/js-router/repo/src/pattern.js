/**
 * @typedef {{ kind: 'literal' | 'parameter' | 'rest', text: string }} Segment
 */

/**
 * `/users/:id/*` as segments.
 *
 * @param {string} pattern
 * @returns {Segment[]}
 */
export function parse(pattern) {
  if (!pattern.startsWith('/')) {
    throw new Error(`a pattern begins with a slash: ${pattern}`);
  }
  return split(pattern).map((text) => {
    if (text === '*') return { kind: 'rest', text };
    if (text.startsWith(':')) return { kind: 'parameter', text: text.slice(1) };
    return { kind: 'literal', text };
  });
}

/**
 * The segments of a path; `/` has none, and a slash at the end makes none.
 *
 * @param {string} path
 * @returns {string[]}
 */
export function split(path) {
  return path.split('/').filter((segment) => segment !== '');
}
