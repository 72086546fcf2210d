import { apply } from './edit.js';

/** @typedef {import('./edit.js').Edit} Edit */

export class Document {
  #text;
  /** @type {Set<(edit: Edit) => void>} */
  #listeners = new Set();

  /** @param {string} text */
  constructor(text = '') {
    this.#text = text;
  }

  get text() {
    return this.#text;
  }

  /**
   * @param {number} at
   * @param {string} inserted
   */
  insert(at, inserted) {
    this.#edit({ at, removed: '', inserted });
  }

  /**
   * @param {number} at
   * @param {number} length
   */
  remove(at, length) {
    this.#edit({ at, removed: this.#slice(at, length), inserted: '' });
  }

  /**
   * @param {number} at
   * @param {number} length
   * @param {string} inserted
   */
  replace(at, length, inserted) {
    this.#edit({ at, removed: this.#slice(at, length), inserted });
  }

  /**
   * Calls `listener` after each change; what is returned ends that.
   *
   * @param {(edit: Edit) => void} listener
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #slice(at, length) {
    if (at + length > this.#text.length) throw new RangeError(`the text ends at ${this.#text.length}`);
    return this.#text.slice(at, at + length);
  }

  /** @param {Edit} edit */
  #edit(edit) {
    if (edit.at < 0 || edit.at > this.#text.length) throw new RangeError(`the text ends at ${this.#text.length}`);
    this.#text = apply(this.#text, edit);
    for (const listener of this.#listeners) listener(edit);
  }
}
