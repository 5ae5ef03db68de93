package parity

import "time"

// families are the metrics that the rules under testdata read.
func families() []family {
	return concat(nodes(), kube(), postgres(), redis(), rabbitmq())
}

func concat(lists ...[]family) []family {
	var all []family
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func nodes() []family {
	cpus, disks, devices := "cpu=0|1", "device=sda|sdb", "device=eth0|eth1"
	mounts := []string{"mountpoint=/|/var"}
	return []family{
		{"node", "node_load1", nil, level(1.5, 9)},
		{"node", "node_load5", nil, level(1.2, 7)},
		{"node", "node_cpu_seconds_total", []string{cpus, "mode=idle"}, count(0.9, 0.1)},
		{"node", "node_cpu_seconds_total", []string{cpus, "mode=iowait"}, count(0.02, 0.5)},
		{"node", "node_cpu_seconds_total", []string{cpus, "mode=steal"}, count(0.01, 0.4)},
		{"node", "node_memory_MemAvailable_bytes", nil, level(4e9, 2e8)},
		{"node", "node_memory_MemTotal_bytes", nil, steady(8e9)},
		{"node", "node_vmstat_oom_kill", nil, count(0, 0.05)},
		{"node", "node_filesystem_avail_bytes", mounts, slope(6e10, 2e9)},
		{"node", "node_filesystem_size_bytes", mounts, steady(1e11)},
		{"node", "node_filesystem_readonly", mounts, state(0, 1)},
		{"node", "node_filesystem_files_free", mounts, level(90_000, 500)},
		{"node", "node_disk_io_time_seconds_total", []string{disks}, count(0.2, 0.95)},
		{"node", "node_disk_read_bytes_total", []string{disks}, count(1e6, 1e8)},
		{"node", "node_network_receive_errs_total", []string{devices}, count(0, 4)},
		{"node", "node_network_receive_packets_total", []string{devices}, count(200, 20)},
		{"node", "node_network_receive_bytes_total", []string{devices}, count(5e6, 1.2e8)},
		{"node", "node_network_up", []string{devices}, state(1, 0)},
		{"node", "node_nf_conntrack_entries", nil, level(20_000, 60_000)},
		{"node", "node_nf_conntrack_entries_limit", nil, steady(65_536)},
		{"node", "node_timex_offset_seconds", nil, level(0.001, -0.08)},
		{"node", "node_timex_sync_status", nil, state(1, 0)},
		{"node", "node_boot_time_seconds", nil, age(40*time.Hour, 45*time.Minute)},
		{"node", "node_textfile_mtime_seconds", nil, age(5*time.Minute, 20*time.Minute)},
		{"node", "node_systemd_unit_state", []string{"name=cron.service|sshd.service", "state=failed"}, state(0, 1)},
		{"node", "node_hwmon_temp_celsius", []string{"sensor=temp1|temp2"}, level(50, 88)},
		{"node", "node_filefd_allocated", nil, level(2_000, 9_000)},
		{"node", "node_filefd_maximum", nil, steady(10_000)},
	}
}

func kube() []family {
	pods := []string{"namespace=core|payments", "pod=api-0|api-1"}
	deployments := []string{"namespace=core|payments", "deployment=api"}
	jobs := []string{"namespace=core", "job_name=nightly-backup|report"}
	conditions := []string{"node=n1|n2", "status=true"}
	return []family{
		{"kube", "kube_pod_container_status_waiting_reason", append([]string{"reason=CrashLoopBackOff"}, pods...), state(0, 1)},
		{"kube", "kube_pod_container_status_restarts_total", pods, count(0, 0.03)},
		{"kube", "kube_pod_status_phase", append([]string{"phase=Pending|Failed"}, pods...), state(0, 1)},
		{"kube", "kube_deployment_spec_replicas", deployments, steady(4)},
		{"kube", "kube_deployment_status_replicas_available", deployments, state(4, 2)},
		{"kube", "kube_deployment_status_observed_generation", deployments, state(7, 6)},
		{"kube", "kube_deployment_metadata_generation", deployments, steady(7)},
		{"kube", "kube_node_status_condition", append([]string{"condition=Ready"}, conditions...), state(1, 0)},
		{"kube", "kube_node_status_condition", append([]string{"condition=MemoryPressure|DiskPressure"}, conditions...), state(0, 1)},
		{"kube", "kube_job_status_failed", jobs, state(0, 1)},
		{"kube", "kube_job_status_active", jobs, state(1, 0)},
		{"kube", "kube_job_status_start_time", jobs, age(time.Minute, 25*time.Minute)},
		{"kube", "kubelet_volume_stats_available_bytes", []string{"namespace=core|payments", "persistentvolumeclaim=data"}, slope(5e10, 1e9)},
		{"kube", "kubelet_volume_stats_capacity_bytes", []string{"namespace=core|payments", "persistentvolumeclaim=data"}, steady(1e11)},
		{"kube", "apiserver_request_total", []string{"verb=GET|POST", "code=200"}, count(50, 5)},
		{"kube", "apiserver_request_total", []string{"verb=GET|POST", "code=500"}, count(0.1, 8)},
		{"kube", "apiserver_request_duration_seconds_bucket", []string{"verb=GET|POST", "le=0.1"}, count(30, 3)},
		{"kube", "apiserver_request_duration_seconds_bucket", []string{"verb=GET|POST", "le=0.5"}, count(40, 20)},
		{"kube", "apiserver_request_duration_seconds_bucket", []string{"verb=GET|POST", "le=2"}, count(49, 49)},
		{"kube", "apiserver_request_duration_seconds_bucket", []string{"verb=GET|POST", "le=+Inf"}, count(50, 50)},
		{"kube", "container_cpu_cfs_throttled_periods_total", pods, count(0.2, 6)},
		{"kube", "container_cpu_cfs_periods_total", pods, count(10, 10)},
		{"kube", "container_cpu_usage_seconds_total", pods, count(0.3, 1.2)},
		{"kube", "kube_pod_info", []string{"namespace=core", "pod=api-0", "node=n1"}, steady(1)},
		{"kube", "kube_pod_info", []string{"namespace=payments", "pod=api-0|api-1", "node=n2"}, steady(1)},
		{"kube", "container_memory_working_set_bytes", append([]string{"container=api|proxy"}, pods...), level(4e8, 1.2e9)},
		{"kube", "kube_pod_memory_limit_bytes", pods, steady(1e9)},
		{"kube", "kube_resourcequota", []string{"namespace=core|payments", "resource=pods", "type=used"}, level(10, 48)},
		{"kube", "kube_resourcequota", []string{"namespace=core|payments", "resource=pods", "type=hard"}, steady(50)},
		{"kube", "kube_horizontalpodautoscaler_status_current_replicas", deployments, state(4, 10)},
		{"kube", "kube_horizontalpodautoscaler_status_desired_replicas", deployments, state(4, 10)},
		{"kube", "kube_horizontalpodautoscaler_spec_max_replicas", deployments, steady(10)},
	}
}

func postgres() []family {
	dbs := []string{"datname=orders|ledger"}
	return []family{
		{"postgres", "pg_up", nil, state(1, 0)},
		{"postgres", "pg_postmaster_start_time_seconds", nil, age(time.Hour, 50*time.Minute)},
		{"postgres", "pg_stat_activity_count", append([]string{"state=active"}, dbs...), level(20, 90)},
		{"postgres", "pg_stat_activity_count", append([]string{"state=idle in transaction"}, dbs...), level(2, 30)},
		{"postgres", "pg_settings_max_connections", nil, steady(200)},
		{"postgres", "pg_stat_activity_max_tx_duration", append([]string{"state=active"}, dbs...), level(10, 200)},
		{"postgres", "pg_replication_lag_seconds", nil, level(0.5, 60)},
		{"postgres", "pg_replication_slots_active", []string{"slot_name=standby"}, state(1, 0)},
		{"postgres", "pg_wal_lsn_total", nil, count(2e4, 0)},
		{"postgres", "pg_stat_database_deadlocks", dbs, count(0, 0.1)},
		{"postgres", "pg_stat_database_xact_commit", dbs, count(50, 0)},
		{"postgres", "pg_stat_database_xact_rollback", dbs, count(1, 20)},
		{"postgres", "pg_stat_database_blks_hit", dbs, count(990, 300)},
		{"postgres", "pg_stat_database_blks_read", dbs, count(10, 200)},
		{"postgres", "pg_locks_count", append([]string{"mode=accessexclusivelock|sharelock"}, dbs...), level(3, 50)},
		{"postgres", "pg_database_size_bytes", dbs, slope(1e10, 7e10)},
	}
}

func redis() []family {
	return []family{
		{"redis", "redis_up", nil, state(1, 0)},
		{"redis", "redis_master_link_up", nil, state(1, 0)},
		{"redis", "redis_memory_used_bytes", nil, slope(2e9, 4.2e9)},
		{"redis", "redis_memory_used_rss_bytes", nil, slope(3e9, 5e9)},
		{"redis", "redis_memory_max_bytes", nil, state(4e9, 0)},
		{"redis", "redis_evicted_keys_total", nil, count(0, 30)},
		{"redis", "redis_connected_clients", nil, level(200, 900)},
		{"redis", "redis_blocked_clients", nil, state(0, 4)},
		{"redis", "redis_rejected_connections_total", nil, count(0, 1)},
		{"redis", "redis_slowlog_last_id", nil, count(0.01, 0.5)},
		{"redis", "redis_keyspace_hits_total", nil, count(900, 100)},
		{"redis", "redis_keyspace_misses_total", nil, count(50, 90)},
		{"redis", "redis_rdb_last_save_timestamp_seconds", nil, age(5*time.Minute, 14*time.Minute)},
		{"redis", "redis_db_keys", []string{"db=db0|db1"}, level(8_000, 1_000)},
		{"redis", "redis_connected_slaves", []string{"role=master"}, state(2, 1)},
	}
}

func rabbitmq() []family {
	queues := []string{"queue=payouts|webhooks"}
	return []family{
		{"rabbitmq", "rabbitmq_up", []string{"cluster=main"}, state(1, 0)},
		{"rabbitmq", "rabbitmq_partitions", nil, state(0, 1)},
		{"rabbitmq", "rabbitmq_alarm_memory", nil, state(0, 1)},
		{"rabbitmq", "rabbitmq_alarm_disk", nil, state(0, 1)},
		{"rabbitmq", "rabbitmq_queue_messages_ready", queues, level(300, 7_000)},
		{"rabbitmq", "rabbitmq_queue_messages_unacked", queues, level(20, 5_000)},
		{"rabbitmq", "rabbitmq_queue_consumers", queues, state(3, 0)},
		{"rabbitmq", "rabbitmq_queue_messages_published_total", queues, count(40, 0)},
		{"rabbitmq", "rabbitmq_queue_messages_delivered_total", queues, count(39, 0)},
		{"rabbitmq", "rabbitmq_queue_messages_redelivered_total", queues, count(0.01, 2)},
		{"rabbitmq", "rabbitmq_channel_messages_unroutable_dropped_total", nil, count(0, 0.5)},
		{"rabbitmq", "rabbitmq_node_mem_used", nil, level(1e9, 3.9e9)},
		{"rabbitmq", "rabbitmq_node_mem_limit", nil, steady(4e9)},
		{"rabbitmq", "rabbitmq_disk_free", nil, slope(5e10, 1e9)},
		{"rabbitmq", "rabbitmq_disk_free_limit", nil, steady(5e9)},
		{"rabbitmq", "rabbitmq_fd_used", nil, level(2_000, 9_500)},
		{"rabbitmq", "rabbitmq_fd_total", nil, steady(10_000)},
		{"rabbitmq", "rabbitmq_connections", nil, level(300, 1_000)},
		{"rabbitmq", "rabbitmq_channels", nil, level(2_000, 9_000)},
		{"rabbitmq", "rabbitmq_connections_opened_total", nil, count(1, 50)},
	}
}
