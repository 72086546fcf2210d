/**
 * A number from 0 to 99 for a text: FNV-1a, 32 bits.
 *
 * @param {string} text
 * @returns {number}
 */
export function bucket(text) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash ^= text.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0) % 100;
}
