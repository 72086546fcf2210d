import { Feed } from './feed.js';
import { Subscriptions } from './subscriptions.js';

const feed = new Feed(process.env.FEED_URL ?? 'wss://exchange.example/ticks');
export const subscriptions = new Subscriptions(feed);
