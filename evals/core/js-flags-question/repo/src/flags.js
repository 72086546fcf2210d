import { bucket } from './hash.js';

/**
 * @typedef {{ percent: number, countries?: string[], overrides?: Record<string, boolean> }} Flag
 * @typedef {{ id: string, country?: string, staff?: boolean }} User
 */

/**
 * Whether a flag is on for a user.
 *
 * @param {Record<string, Flag>} flags
 * @param {string} name
 * @param {User} user
 * @returns {boolean}
 */
export function isOn(flags, name, user) {
  const flag = flags[name];
  if (!flag) return false;
  if (flag.countries && user.country && !flag.countries.includes(user.country)) return false;
  const override = flag.overrides?.[user.id];
  if (override !== undefined) return override;
  if (user.staff) return true;
  return bucket(user.id) < flag.percent;
}
