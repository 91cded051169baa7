drop index subscriptions_halted_idx;
