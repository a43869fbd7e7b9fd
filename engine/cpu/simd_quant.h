//go:build native

// Products of quantised weights with quantised activations (simd.h). The sum over a
// group of 128 inputs is taken in integers and so is exact in any order.
//
// v_dot8 may take a weight as it lies (value + 128) or as a signed one: the instruction
// set says which by W8_BIAS, and by v_w8, which loads a weight as v_dot8 wants it.
// Nibbles are unsigned for all.

enum { MUL_W8, MUL_W4, W4_BIAS = 8 };

// How many groups a tile takes at a stretch: so many weights of TILE_B blocks fill
// half of a first-level cache, and stay there over all rows.
enum { STRETCH_GROUPS = 4 };

// qstretch is what a tile works on: `groups` groups with kn inputs together, of some
// blocks ws bytes apart whose scales are wss bytes apart.
typedef struct {
	const char *w;
	size_t ws;
	const char *scales;
	size_t wss;
	const int8_t *a;
	size_t lda;
	const float *as;
	const int32_t *az;
	size_t lds;
	float *c;
	size_t ldc;
	const float *init; // never NULL: a branch in the tile's end costs it its registers
	size_t ldi;
	int32_t kn;
} qstretch;

// quant_tile computes mr rows × nb blocks.
IN void quant_tile(const int mul, const int mr, const int nb, const qstretch *s)
{
	const char *w = s->w, *scales = s->scales;
	const int8_t *a = s->a;
	const float *init = s->init;
	size_t ldi = s->ldi;
	const size_t ws = s->ws, lda = s->lda;
	const int bytes = mul == MUL_W8 ? PL_LANES : PL_LANES / 2; // of a block, an input
	for (int32_t k0 = 0, g = 0; k0 < s->kn; k0 += PL_GROUP, g++) {
		const int32_t n = s->kn - k0 < PL_GROUP ? s->kn - k0 : PL_GROUP;
		vi acc[TILE_QM][LINE_B * VB];
#pragma GCC unroll 16
		for (int i = 0; i < mr; i++)
#pragma GCC unroll 16
			for (int j = 0; j < nb * VB; j++)
				acc[i][j] = vi_set(-(mul == MUL_W8 ? W8_BIAS : W4_BIAS) * s->az[i * s->lds + g]);
		if (mul == MUL_W8) {
			for (int32_t k = 0; k < n; k += 4) {
				vi v[LINE_B * VB];
#pragma GCC unroll 16
				for (int j = 0; j < nb * VB; j++)
					v[j] = v_w8(w + (j / VB) * ws + (size_t)k * PL_LANES + (j % VB) * VL * 4);
#pragma GCC unroll 16
				for (int i = 0; i < mr; i++)
#pragma GCC unroll 16
					for (int j = 0; j < nb * VB; j++)
						acc[i][j] = v_dot8(acc[i][j], v[j], a + i * lda + k);
			}
		} else {
			for (int32_t k = 0; k < n; k += 8) {
				vi v[LINE_B * VB];
#pragma GCC unroll 16
				for (int j = 0; j < nb * VB; j++)
					v[j] = v_low(w + (j / VB) * ws + (size_t)k * PL_LANES / 2 + (j % VB) * VL * 4);
#pragma GCC unroll 16
				for (int i = 0; i < mr; i++)
#pragma GCC unroll 16
					for (int j = 0; j < nb * VB; j++)
						acc[i][j] = v_dot4(acc[i][j], v[j], a + i * lda + k);
#pragma GCC unroll 16
				for (int j = 0; j < nb * VB; j++)
					v[j] = v_high(w + (j / VB) * ws + (size_t)k * PL_LANES / 2 + (j % VB) * VL * 4);
#pragma GCC unroll 16
				for (int i = 0; i < mr; i++)
#pragma GCC unroll 16
					for (int j = 0; j < nb * VB; j++)
						acc[i][j] = v_dot4(acc[i][j], v[j], a + i * lda + k + 4);
			}
		}
#pragma GCC unroll 16
		for (int j = 0; j < nb * VB; j++) {
			const char *at = scales + (j / VB) * s->wss;
			const vf scale = mul == MUL_W8 ? v_load((const float *)at + (j % VB) * VL)
			                               : v_half((const uint16_t *)at + (j % VB) * VL);
#pragma GCC unroll 16
			for (int i = 0; i < mr; i++) {
				const vf t = v_load(init + i * ldi + j * VL);
				v_store(s->c + i * s->ldc + j * VL, v_fma(v_whole(acc[i][j]), v_at(s->as + i * s->lds + g) * scale, t));
			}
		}
		init = s->c;
		ldi = s->ldc;
		a += PL_GROUP;
		w += PL_GROUP * bytes;
		if (mul == MUL_W4)
			scales += PL_LANES * sizeof(uint16_t);
	}
}

#define DEFINE_Q(mul, nb, mr) \
	FN __attribute__((noinline)) void tile_##mul##_##nb##_##mr(const qstretch *s) \
	{ \
		quant_tile(mul, mr <= TILE_QM ? mr : 1, nb <= TILE_QB ? nb : 1, s); \
	}

ROWS(DEFINE_Q, MUL_W8, 1)
ROWS(DEFINE_Q, MUL_W8, 2)
ROWS(DEFINE_Q, MUL_W4, 1)
ROWS(DEFINE_Q, MUL_W4, 2)

static void (*const quant_tiles[2][2][12])(const qstretch *) = {TILES(MUL_W8), TILES(MUL_W4)};

// quant_product runs one product over blocks [b0, b1), in the order of simd_float.h.
IN void quant_product(const int mul, const pl_gemm *g, int32_t b0, int32_t b1)
{
	const int32_t most = g->m == 1 ? LINE_B : TILE_QB, groups = (g->w->k + PL_GROUP - 1) / PL_GROUP;
	const size_t bytes = mul == MUL_W8 ? PL_LANES : PL_LANES / 2; // of a block, an input
	const size_t ws = (size_t)g->w->k * bytes;
	static const float zeros[LINE_B * PL_LANES];
	const size_t wss = mul == MUL_W8 ? PL_LANES * sizeof(float) : (size_t)groups * PL_LANES * sizeof(uint16_t);
	for (int32_t b = b0; b < b1;) {
		const int32_t nb = b1 - b >= most ? most : 1;
		const size_t column = (size_t)(b - b0) * PL_LANES;
		for (int32_t k = 0; k < g->k; k += STRETCH_GROUPS * PL_GROUP) {
			const int32_t group = k / PL_GROUP;
			qstretch s = {
				.w = (const char *)g->w->data + b * ws + (size_t)k * bytes, .ws = ws,
				.scales = (const char *)g->w->scales + b * wss + (mul == MUL_W4 ? group * PL_LANES * sizeof(uint16_t) : 0),
				.wss = wss,
				.a = (const int8_t *)g->a + k, .lda = g->lda,
				.as = g->as + group, .az = g->az + group, .lds = g->lds,
				.c = g->c + column, .ldc = g->ldc,
				.init = k ? g->c + column : g->init ? g->init + column : zeros,
				.ldi = k ? g->ldc : g->init ? g->ldi : 0,
				.kn = g->k - k < STRETCH_GROUPS * PL_GROUP ? g->k - k : STRETCH_GROUPS * PL_GROUP,
			};
			if (g->m == 1) {
				if (nb == LINE_B)
					quant_tile(mul, 1, LINE_B, &s);
				else
					quant_tile(mul, 1, 1, &s);
				continue;
			}
			for (int32_t m = g->m; m > 0;) {
				const int32_t count = (m + TILE_QM - 1) / TILE_QM, high = (m + count - 1) / count;
				quant_tiles[mul][nb - 1][high - 1](&s);
				s.a += high * s.lda;
				s.as += high * s.lds;
				s.az += high * s.lds;
				s.c += high * s.ldc;
				s.init += high * s.ldi;
				m -= high;
			}
		}
		b += nb;
	}
}

FN void product_w8(const pl_gemm *g, int32_t b0, int32_t b1) { quant_product(MUL_W8, g, b0, b1); }
FN void product_w4(const pl_gemm *g, int32_t b0, int32_t b1) { quant_product(MUL_W4, g, b0, b1); }

FN void gemm_q(const pl_gemm *g, int32_t b0, int32_t b1)
{
	if (g->w->type == PL_W8)
		product_w8(g, b0, b1);
	else
		product_w4(g, b0, b1);
}
