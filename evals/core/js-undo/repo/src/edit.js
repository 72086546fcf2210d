/**
 * A change of a text: at an offset, what goes and what comes.
 *
 * @typedef {{ at: number, removed: string, inserted: string }} Edit
 */

/**
 * @param {string} text
 * @param {Edit} edit
 * @returns {string}
 */
export function apply(text, { at, removed, inserted }) {
  if (text.slice(at, at + removed.length) !== removed) {
    throw new Error(`the text at ${at} is not ${JSON.stringify(removed)}`);
  }
  return text.slice(0, at) + inserted + text.slice(at + removed.length);
}

/**
 * The edit that takes `edit` back.
 *
 * @param {Edit} edit
 * @returns {Edit}
 */
export function inverse({ at, removed, inserted }) {
  return { at, removed: inserted, inserted: removed };
}
