/** @typedef {import('./pattern.js').Segment} Segment */

/**
 * The parameters with which `segments` fit a pattern, or `null` where they do not.
 *
 * @param {Segment[]} pattern
 * @param {string[]} segments
 * @returns {Record<string, string> | null}
 */
export function match(pattern, segments) {
  /** @type {Record<string, string>} */
  const params = {};
  for (const [index, part] of pattern.entries()) {
    if (part.kind === 'rest') {
      params['*'] = segments.slice(index).join('/');
      return params;
    }
    const segment = segments[index];
    if (segment === undefined) return null;
    if (part.kind === 'literal' && part.text !== segment) return null;
    if (part.kind === 'parameter') params[part.text] = decodeURIComponent(segment);
  }
  return pattern.length === segments.length ? params : null;
}
