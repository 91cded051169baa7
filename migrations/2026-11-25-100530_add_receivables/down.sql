drop index invoices_corrected_on_idx;
