alter table invoice_lines
    drop constraint invoice_lines_vat_code_check,
    add constraint invoice_lines_vat_code_check check (vat_code in ('23', '8', '5', '0', 'zw'));
