create table manage_db.operation_log (id int);
