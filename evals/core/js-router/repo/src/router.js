import { match } from './match.js';
import { parse, split } from './pattern.js';

/**
 * @typedef {{ status: number, body?: string, headers?: Record<string, string> }} Response
 * @typedef {(request: { method: string, path: string, params: Record<string, string> }) => Response | Promise<Response>} Handler
 */

export class Router {
  /** @type {{ method: string, pattern: import('./pattern.js').Segment[], handler: Handler }[]} */
  #routes = [];

  /**
   * @param {string} method
   * @param {string} pattern
   * @param {Handler} handler
   */
  on(method, pattern, handler) {
    this.#routes.push({ method, pattern: parse(pattern), handler });
    return this;
  }

  /**
   * @param {string} method
   * @param {string} url
   * @returns {Promise<Response>}
   */
  async handle(method, url) {
    const path = decodeURIComponent(url.split('?')[0]);
    try {
      for (const route of this.#routes) {
        if (route.method !== method) continue;
        const params = match(route.pattern, split(path));
        if (params) return await route.handler({ method, path, params });
      }
    } catch (error) {
      return { status: 500, body: String(error) };
    }
    return { status: 404, body: 'not found' };
  }
}
