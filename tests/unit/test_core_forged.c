/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What others can send of a spliced connection, who know its ports and guess its numbers, or
 * what its own client sends that its server does not take: nothing of it ends the connection
 * here that does not end it there.
 */
#include "core_lab.h"
#include "core_state.h"
#include "entry.h"

/* A connection on which either end has said ten bytes, old enough that no cookie is out. */
static struct conn *
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11, .payload_len = 10);
	CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 11);
	lab_tick(lab, 100000);
	struct conn *conn = lab->core->conns.conns;
	while (conn->state != CONN_SPLICED)
		conn++;
	return conn;
}

static uint32_t
widest(const struct conn *conn)
{
	return (uint32_t)UINT16_MAX << wscale_shift(conn->server_wscale);
}

/* What both ends say next crosses. */
static void
check_goes_on(struct lab *lab)
{
	EQUAL(lab_state(lab), CONN_SPLICED);
	CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 11, .payload_len = 5);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, lab->irs + 11);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 16, .payload_len = 5);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 11);
}

/* FINs by the step that hits a window, around where the connection is: the server takes none, and
 * the connection lives as long as any other. */
LAB_TEST(test_forged_fins_shorten_nothing, "SPLICED.OUTSIDE.DATA")
{
	const struct conn *conn = start(lab);
	uint32_t step = widest(conn) / 2 + 1, from = lab->irs - 2 * widest(conn) + 77;

	for (unsigned int i = 0; i < 9; i++) {
		CLIENT(TCP_ACK | TCP_FIN, from + i * step, lab->iss + 11, .no_timestamps = true);
		SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 11);
	}
	lab_tick(lab, 1000 * (lab->policy.timeouts.half_closed + 2));
	EQUAL(lab_count(lab, COUNTER_expired), 0);
	check_goes_on(lab);
}

/* One that acknowledges what the server never sent is not even noted. */
LAB_TEST(test_forged_ack_teaches_nothing, "SPLICED.OUTSIDE.DATA", "SPLICED.OUTSIDE.ACK")
{
	const struct conn *conn = start(lab), before = *conn;

	for (uint32_t ack = 0x50000000; ack < 0xc0000000; ack += 0x10000000) {
		CLIENT(TCP_ACK | TCP_FIN, lab->irs + 11, lab->iss + 11 - ack);
		CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 11 - ack, .payload_len = 10);
		CLIENT(TCP_FIN, lab->irs + 11, lab->iss + 11);
		CHECK(memcmp(conn, &before, sizeof(before)) == 0);
	}
}

/* At the end of an answer nor is the client shut out: it goes on, and then closes. */
LAB_TEST(test_forged_fin_before_the_servers, "SPLICED.INSIDE.DATA", "SPLICED.OUTSIDE.ACK")
{
	const struct conn *conn = start(lab);

	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 11 + widest(conn) - 100, lab->iss + 11);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 11, lab->irs + 11);
	EQUAL(lab_state(lab), CONN_SPLICED);
	CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 12, .payload_len = 5);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, lab->irs + 11);
	SERVER(TCP_ACK, lab->server_iss + 12, lab->irs + 16);
	EQUAL(lab_state(lab), CONN_SPLICED);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 16, lab->iss + 12);
	EQUAL(conn->client_nxt, lab->irs + 17);
	EQUAL(lab_state(lab), CONN_SPLICED);
	SERVER(TCP_ACK, lab->server_iss + 12, lab->irs + 17);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

/* Data behind a FIN, seen or acknowledged, show that it was none. */
LAB_TEST(test_forged_fin_is_overtaken, "SPLICED.OUTSIDE.DATA", "SPLICED.INSIDE.ACK")
{
	const struct conn *conn = start(lab);

	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 13, lab->iss + 11);
	CHECK(conn->flags & CONN_CLIENT_FIN);
	CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 11, .payload_len = 5);
	CHECK(!(conn->flags & CONN_CLIENT_FIN));
	EQUAL(conn->client_nxt, lab->irs + 16);
	/* Data up to the number that would be the FIN's, as if it were one of them. */
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 18, lab->iss + 11);
	CLIENT(TCP_ACK, lab->irs + 16, lab->iss + 11, .payload_len = 3);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 19);
	EQUAL(conn_fins(conn), 0);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 19, lab->iss + 11);
	CHECK(conn->flags & CONN_CLIENT_FIN);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 26);
	CHECK(!(conn->flags & CONN_CLIENT_FIN));
	EQUAL(conn->client_nxt, lab->irs + 26);
	EQUAL(conn->client_lag, 0);
}

/* The client's own FIN, whatever overtakes it or is lost before it or of it. */
LAB_TEST(test_forged_nothing_fin_out_of_order, "SPLICED.OUTSIDE.DATA")
{
	const struct conn *conn = start(lab);

	/* What is before it was lost, comes again, and is acknowledged bit by bit. */
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 111, lab->iss + 11, .payload_len = 50);
	EQUAL(conn->client_lag, 151);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 11);
	CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 11, .payload_len = 100);
	EQUAL(conn->client_nxt, lab->irs + 162);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 111);
	EQUAL(conn_fins(conn), 0);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 162);
	EQUAL(conn_fins(conn), CONN_CLIENT_FIN);
	/* Nobody sends anything behind it. */
	CLIENT(TCP_ACK, lab->irs + 162, lab->iss + 11, .payload_len = 100);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 262, lab->iss + 11);
	EQUAL(conn->client_nxt, lab->irs + 162);
	EQUAL(conn_fins(conn), CONN_CLIENT_FIN);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 11, lab->irs + 162);
	EQUAL(lab_state(lab), CONN_CLOSING);
	EQUAL(lab_count(lab, COUNTER_reset), 0);
}

/* Far ahead of the server's last ACK, and below what somebody has said in the client's name:
 * its FIN counts all the same. */
LAB_TEST(test_forged_data_before_a_fin, "SPLICED.OUTSIDE.DATA")
{
	const struct conn *conn = start(lab);

	for (uint32_t ahead = 100; ahead <= widest(conn) - 100; ahead += widest(conn) - 200) {
		CLIENT(TCP_ACK, lab->irs + 11 + ahead, lab->iss + 11, .payload_len = 1);
		EQUAL(conn->client_nxt, lab->irs + 12 + ahead);
	}
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 11, lab->iss + 11);
	EQUAL(conn->client_nxt, lab->irs + 12);
	EQUAL(conn_fins(conn), 0);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 12);
	EQUAL(conn_fins(conn), CONN_CLIENT_FIN);
}

/* What the server's fragments carried is not seen: the client's FIN acknowledges it. */
LAB_TEST(test_forged_nothing_fin_behind_fragments, "SPLICED.OUTSIDE.DATA")
{
	const struct conn *conn = start(lab);

	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 11, lab->iss + 11 + 20000);
	SERVER(TCP_ACK, lab->server_iss + 11 + 20000, lab->irs + 12);
	EQUAL(conn_fins(conn), CONN_CLIENT_FIN);
}

/* Data and a RST behind them: here the RST is as good as one can be, there it is challenged
 * (RFC 5961, 3.2), and the challenge is believed though the connection is silent then. */
LAB_TEST(test_forged_reset_is_challenged, "SPLICED.OUTSIDE.RST", "CLOSING.INSIDE.ACK")
{
	const struct conn *conn = start(lab);
	uint32_t ahead[2] = { 1000, 30000 };

	for (unsigned int i = 0; i < 2; i++) {
		CLIENT(TCP_ACK, lab->irs + 11 + ahead[i], lab->iss + 11, .payload_len = 1);
		SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 11);
		CLIENT(TCP_RST, lab->irs + 12 + ahead[i], 0);
		EQUAL(lab_state(lab), CONN_CLOSING);
		SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 11);
		OUTCOME_IS(spliced);
		EQUAL(lab_state(lab), CONN_SPLICED);
		lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	}
	EQUAL(conn->state, CONN_SPLICED);
	check_goes_on(lab);
}

/* An ACK that was under way acknowledges more than before, or all: it denies nothing. */
LAB_TEST(test_forged_nothing_reset_behind_data, "SPLICED.OUTSIDE.RST", "CLOSING.INSIDE.ACK")
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 11, .payload_len = 1000);
	CLIENT(TCP_RST, lab->irs + 1011, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 11, .payload_len = 10);
	SERVER(TCP_ACK, lab->server_iss + 21, lab->irs + 511);
	SERVER(TCP_ACK, lab->server_iss + 21, lab->irs + 1011);
	EQUAL(lab_state(lab), CONN_CLOSING);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(lab_count(lab, COUNTER_reset), 1);
}

/* A RST that the server does not take, of data that it does not take: its client stays in all
 * limits, and is counted once when it has gone. */
LAB_TEST_ONCE(test_forged_reset_frees_no_place)
{
	lab->policy.sources.connections_host = 1;
	lab->services[0].max_connections = 2;
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1011, lab->iss + 11, .payload_len = 1, .bad_checksum = 5);
	CLIENT(TCP_RST, lab->irs + 1012, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
	lab_open_of(lab, 0, 0);
	EQUAL(lab_grew(lab, COUNTER_limit_source_connections), 1);
	lab_splice_of(lab, 1, 1);
	lab_open_of(lab, 2, 2);
	EQUAL(lab_grew(lab, COUNTER_limit_service_connections), 1);
	lab_tick(lab, 500 * lab->policy.timeouts.reset_linger + 500);
	CLIENT(TCP_ACK, lab->irs + 10, lab->iss + 11);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 11);
	EQUAL(lab_state(lab), CONN_SPLICED);
	lab_open_of(lab, 3, 0);
	EQUAL(lab_grew(lab, COUNTER_limit_source_connections) +
	              lab_grew(lab, COUNTER_limit_service_connections),
	      1);
	EQUAL(core_service_view(lab->core, 0).connections, 2);
	SERVER(TCP_RST, lab->server_iss + 11, 0);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(core_service_view(lab->core, 0).connections, 1);
	lab_splice_of(lab, 4, 0);
}

CU_TestInfo core_forged_tests[] = {
	CHECK_TEST(test_forged_fins_shorten_nothing),
	CHECK_TEST(test_forged_ack_teaches_nothing),
	CHECK_TEST(test_forged_fin_before_the_servers),
	CHECK_TEST(test_forged_fin_is_overtaken),
	CHECK_TEST(test_forged_nothing_fin_out_of_order),
	CHECK_TEST(test_forged_data_before_a_fin),
	CHECK_TEST(test_forged_nothing_fin_behind_fragments),
	CHECK_TEST(test_forged_reset_is_challenged),
	CHECK_TEST(test_forged_nothing_reset_behind_data),
	CHECK_TEST(test_forged_reset_frees_no_place),
	CU_TEST_INFO_NULL,
};
