/**
 * How many words a text has.
 *
 * @param {string} text
 */
export function words(text) {
  return text.split(/\s+/u).filter((word) => word !== '').length;
}
