alter table invoice_templates drop column layout_id;
drop table invoice_layouts;
